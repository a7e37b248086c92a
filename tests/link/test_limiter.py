"""The in-flight limit on simulated lines; all times are virtual."""

import heapq
import itertools
import random

import pytest

from kttun.link.limiter import BURST_S, FLOOR, START, InFlightLimiter

MBIT = 125_000.0


class Line:
    """A sender held by an `InFlightLimiter`, a bottleneck, a delay, and a receiver that credits.

    `rate` bytes a second, `rtt` seconds there and back; both may be changed while it runs.

    The source has always something to send unless `source_rate` bounds it. The receiver credits each quarter of the
    limit and what remains after 2 ms. `stall(random)` gives seconds that an end sleeps before it acts (a busy machine).
    """

    def __init__(self, rate, rtt, *, source_rate=None, stall=None, other_queue=0.0, seed=1):
        self.rate, self.rtt, self.source_rate = rate, rtt, source_rate
        self.other_queue = other_queue
        self.now = 0.0
        self.limiter = InFlightLimiter(0.0)
        self.received = 0
        self.delays = []
        self.limits = []
        self._credited = 0
        self._free_at = 0.0
        self._stall = stall or (lambda _random: 0.0)
        self._random = random.Random(seed)
        self._events = []
        self._order = itertools.count()
        self._sender_wakes = self._receiver_wakes = None
        self._inbox = []
        self._credits = []
        self._at(0.0, self._send)

    def _at(self, when, act):
        heapq.heappush(self._events, (max(when, self.now), next(self._order), act))

    def run(self, seconds):
        """Let `seconds` pass; give the bytes that arrived meanwhile."""
        until, before = self.now + seconds, self.received
        while self._events and self._events[0][0] <= until:
            self.now, _, act = heapq.heappop(self._events)
            act()
        self.now = until
        return self.received - before

    def _send(self):
        limiter = self.limiter
        while limiter.room > 0:
            if self.source_rate is not None and limiter.sent > self.source_rate * self.now:
                self._at(self.now + 0.001, self._send)
                return
            size = min(65_536, max(8_192, limiter.limit // 8))
            limited = self.source_rate is not None and limiter.sent + size > self.source_rate * self.now
            limiter.on_sent(limiter.sent + size, self.now, source_limited=limited)
            start = max(self.now + self.rtt / 2, self._free_at) + (0 if self._free_at > self.now else self.other_queue)
            self._free_at = start + size / self.rate
            self._at(self._free_at, lambda size=size, sent=self.now: self._arrive(size, sent))

    def _arrive(self, size, sent_at):
        self._inbox.append(size)
        self.delays.append(self.now - sent_at)
        if self._receiver_wakes is None:
            self._receiver_wakes = self.now + self._stall(self._random)
            self._at(self._receiver_wakes, self._receive)

    def _receive(self):
        self._receiver_wakes = None
        self.received += sum(self._inbox)
        self._inbox.clear()
        if self.received - self._credited >= self.limiter.limit // 4:
            self._credit()
        else:
            self._at(self.now + 0.002, self._credit)

    def _credit(self):
        if self.received > self._credited:
            self._credited = self.received
            self._at(self.now + self.rtt / 2, lambda total=self.received: self._credit_arrives(total))

    def _credit_arrives(self, total):
        self._credits.append(total)
        if self._sender_wakes is None:
            self._sender_wakes = self.now + self._stall(self._random)
            self._at(self._sender_wakes, self._take_credits)

    def _take_credits(self):
        self._sender_wakes = None
        for total in self._credits:
            self.limiter.on_credit(total, self.now)
        self._credits.clear()
        self.limits.append(self.limiter.limit)
        self._send()


LINES = [
    (1, 0.02),
    (5, 0.08),
    (20, 0.0007),
    (20, 0.02),
    (20, 0.2),
    (200, 0.02),
    (200, 0.08),
    (1200, 0.0007),
    (5000, 0.02),
]


@pytest.mark.parametrize(("mbit", "rtt"), LINES)
def test_the_line_is_full_after_start_up(mbit, rtt):
    line = Line(mbit * MBIT, rtt)
    line.run(2)
    assert line.run(5) >= 0.95 * 5 * line.rate


@pytest.mark.parametrize(("mbit", "rtt"), [line for line in LINES if line[0] >= 20])
def test_the_queue_in_the_line_stays_small(mbit, rtt):
    line = Line(mbit * MBIT, rtt)
    line.run(5)
    line.delays.clear()
    line.run(5)
    queued = sorted(delay - rtt / 2 for delay in line.delays)
    record = line.limiter.limit / 8 / line.rate
    assert queued[len(queued) // 2] <= 0.3 * rtt + 4 * BURST_S + record


@pytest.mark.parametrize("factor", [0.1, 0.5, 2, 8])
def test_a_changed_rate_is_followed(factor):
    line = Line(50 * MBIT, 0.02)
    line.run(4)
    line.rate *= factor
    line.run(4)
    line.delays.clear()
    assert line.run(4) >= 0.95 * 4 * line.rate
    assert sorted(line.delays)[len(line.delays) // 2] <= 0.06


def test_a_shorter_path_is_noticed_and_a_longer_one_within_a_minute():
    line = Line(20 * MBIT, 0.08)
    line.run(5)
    line.rtt = 0.02
    line.run(15)  # a few probes: each halves the queue that the old limit keeps
    assert line.limiter.min_rtt < 0.035
    line.rtt = 0.08
    line.run(65)
    assert line.limiter.min_rtt > 0.08
    assert line.run(5) >= 0.95 * 5 * line.rate


@pytest.mark.parametrize(
    "stall",
    [lambda random: random.choice([0, 0, 0, 0.0002, 0.0005, 0.001, 0.003]), lambda random: random.expovariate(1000)],
    ids=["now and then", "always"],
)
def test_on_a_lan_busy_ends_cost_no_rate(stall):
    line = Line(1200 * MBIT, 0.0007, stall=stall)
    line.run(1)
    assert line.run(4) >= 0.95 * 4 * line.rate


def test_a_slow_source_does_not_lower_the_estimate():
    line = Line(100 * MBIT, 0.02)
    line.run(5)
    line.source_rate = 1  # bytes a second: as good as idle
    line.run(30)
    line.source_rate = None
    assert line.limiter.rate >= 0.9 * line.rate


def test_a_source_that_is_slower_than_the_line_is_never_held_up():
    line = Line(100 * MBIT, 0.02, source_rate=30 * MBIT)
    line.run(2)
    line.delays.clear()
    assert line.run(10) >= 0.99 * 10 * line.source_rate
    assert max(line.delays) <= 0.02


def test_the_limit_never_falls_below_its_floor():
    line = Line(0.01 * MBIT, 0.02)
    line.run(600)
    assert min(line.limits) >= FLOOR
    assert line.limiter.room > -65_536
    assert line.run(600) >= 0.9 * 600 * line.rate


def test_the_limit_is_halved_for_a_moment_every_few_seconds():
    line = Line(200 * MBIT, 0.02)
    line.run(5)
    line.limits.clear()
    line.run(10)
    usual = sorted(line.limits)[len(line.limits) // 2]
    low = [limit < 0.6 * usual for limit in line.limits]
    dips = sum(now and not before for before, now in zip([False, *low], low, strict=False))
    assert dips in {3, 4}
    assert sum(low) < 0.05 * len(low)


def test_a_rival_who_fills_the_link_raises_the_gain_and_his_leaving_lowers_it():
    line = Line(20 * MBIT, 0.02)
    line.run(5)
    alone = line.limiter.limit
    line.rtt = 0.1  # his queue stands before ours, whatever we do
    line.run(12)
    assert line.limiter.limit > 1.5 * alone
    line.rtt = 0.02
    line.run(15)
    assert line.limiter.limit < 1.2 * alone


def test_credits_that_cannot_be_true_change_nothing():
    limiter = InFlightLimiter(0.0)
    limiter.on_sent(1000, 0.0, source_limited=True)
    limiter.on_credit(2000, 1.0)
    limiter.on_credit(0, 1.0)
    assert (limiter.in_flight, limiter.room) == (1000, START - 1000)
    limiter.on_credit(1000, 1.0)
    limiter.on_credit(500, 2.0)
    assert (limiter.in_flight, limiter.delivered) == (0, 1000)


def test_half_a_record_frees_its_bytes_and_measures_nothing():
    limiter = InFlightLimiter(0.0)
    limiter.on_sent(1000, 0.0, source_limited=True)
    limiter.on_credit(500, 1.0)
    assert limiter.in_flight == 500
    assert limiter.min_rtt is None


def test_credits_without_any_time_between_are_no_rate():
    limiter = InFlightLimiter(0.0)
    limiter.on_sent(1000, 0.0, source_limited=False)
    limiter.on_credit(1000, 0.0)
    assert limiter.rate == 0
    assert limiter.room >= START
