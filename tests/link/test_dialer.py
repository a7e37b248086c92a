"""Dialling again and again, in steps: the owner's thread is a queue that the test works off."""

import queue
import threading

import pytest

from kttun.errors import EnvironmentFaultError, RefusedError
from kttun.link.carrier import LaneLostError
from kttun.link.dialer import FIRST_PAUSE_S, LONGEST_PAUSE_S, Dialer


class FakeCarrier:
    closed = False

    def close(self):
        self.closed = True


class Owner:
    """Hands out outcomes to `dial` and collects what the dialer tells."""

    def __init__(self):
        self.soon = queue.Queue()
        self.outcomes = queue.Queue()
        self.dialled = threading.Event()
        self.pauses = []
        self.told = []
        self.dialer = Dialer(
            self.dial,
            call_soon=self.soon.put,
            on_carrier=self.told.append,
            on_error=self.told.append,
            on_retry=lambda error, pause: self.told.append((str(error), pause)),
            uniform=self.uniform,
        )

    def uniform(self, low, high):
        self.pauses.append((low, high))
        return 0.0

    def dial(self):
        self.dialled.set()
        outcome = self.outcomes.get(timeout=30)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def work(self):
        self.soon.get(timeout=30)()


@pytest.fixture
def owner():
    return Owner()


def test_a_carrier_is_handed_over_in_the_owners_thread(owner):
    carrier = FakeCarrier()
    owner.outcomes.put(carrier)
    owner.dialer.start()
    assert owner.told == []
    assert owner.dialer.dialling
    owner.work()
    assert owner.told == [carrier]
    assert not owner.dialer.dialling


@pytest.mark.parametrize("error", [LaneLostError("cut"), EnvironmentFaultError("404"), ConnectionRefusedError("no")])
def test_faults_that_pass_are_tried_again(owner, error):
    carrier = FakeCarrier()
    for outcome in (error, error, carrier):
        owner.outcomes.put(outcome)
    owner.dialer.start()
    for _ in range(3):
        owner.work()
    assert owner.told == [(str(error), FIRST_PAUSE_S), (str(error), 2 * FIRST_PAUSE_S), carrier]


@pytest.mark.parametrize("error", [RefusedError("forbidden"), ValueError("a bug")])
def test_other_errors_end_the_dialling_and_reach_the_owner(owner, error):
    owner.outcomes.put(error)
    owner.dialer.start()
    owner.work()
    assert owner.told == [error]
    assert not owner.dialer.dialling


def test_pauses_grow_to_their_bound_and_are_drawn_from_their_upper_half(owner):
    for _ in range(12):
        owner.outcomes.put(OSError("down"))
    owner.outcomes.put(FakeCarrier())
    owner.dialer.start()
    for _ in range(13):
        owner.work()
    assert owner.pauses[:3] == [(0, 0), (FIRST_PAUSE_S / 2, FIRST_PAUSE_S), (FIRST_PAUSE_S, 2 * FIRST_PAUSE_S)]
    assert owner.pauses[-1] == (LONGEST_PAUSE_S / 2, LONGEST_PAUSE_S)


def test_a_carrier_that_died_unproved_earns_a_pause_and_a_settled_one_none(owner):
    for _ in range(3):
        owner.outcomes.put(FakeCarrier())
        owner.dialer.start()
        owner.work()
        if len(owner.told) == 2:
            owner.dialer.settled()
    assert [high for _, high in owner.pauses] == [0, FIRST_PAUSE_S, 0]


def test_an_attempt_under_way_is_neither_doubled_nor_cancelled(owner):
    owner.dialer.start()
    owner.dialer.start()
    owner.dialer.hurry()
    owner.dialer.settled()
    carrier = FakeCarrier()
    owner.outcomes.put(carrier)
    owner.work()
    assert owner.told == [carrier]
    assert owner.soon.empty()


def test_after_stop_a_late_carrier_is_closed_and_nothing_is_told(owner):
    owner.dialer.start()
    assert owner.dialled.wait(30)
    owner.dialer.stop()
    carrier = FakeCarrier()
    owner.outcomes.put(carrier)
    owner.work()
    assert carrier.closed
    assert owner.told == []


@pytest.mark.parametrize("error", [OSError("down"), ValueError("a bug")])
def test_after_stop_failures_are_not_told_and_no_attempt_follows(owner, error):
    owner.dialer.start()
    assert owner.dialled.wait(30)
    thread = owner.dialer._thread
    owner.dialer.stop()
    owner.outcomes.put(error)
    owner.work()
    thread.join(30)
    assert not thread.is_alive()
    assert owner.told == []
    owner.dialer.start()
    assert owner.soon.empty()


def test_hurry_ends_a_pause():
    owner = Owner()
    owner.dialer._uniform = lambda _low, high: 0.0 if high == 0 else 3600.0
    owner.outcomes.put(OSError("down"))
    owner.dialer.start()
    owner.work()
    carrier = FakeCarrier()
    owner.outcomes.put(carrier)
    owner.dialer.hurry()
    owner.work()
    assert owner.told[-1] is carrier
