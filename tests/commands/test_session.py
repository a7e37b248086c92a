"""A session over real links: it opens, loses its lane and gets it back, and ends for each reason there is."""

import math
import os
import queue
import socket
import threading
import time
from collections import deque

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from fakes.far_end import LAPTOP, REPORT, SESSION_ID, FarEnd, make_tun

from kttun.commands import session as session_module
from kttun.commands.lanes import Hopeless
from kttun.commands.session import Session
from kttun.errors import EnvironmentFaultError, TunnelError
from kttun.link.carrier import LaneLostError, PlainCarrier
from kttun.link.pump import Link
from kttun.protocol.events import Opened, PeerClosed
from kttun.protocol.noise import Role
from kttun.protocol.preface import Preface, Status
from kttun.protocol.tunnel import Tunnel


class Opener:
    """`script` holds what the next attempts give, an error or a function that makes a carrier; then comes `usual`."""

    def __init__(self, usual):
        self.usual = usual
        self.script = deque()
        self.proofs = self.failures = 0

    def __call__(self):
        outcome = self.script.popleft() if self.script else self.usual
        if isinstance(outcome, Exception):
            raise outcome
        return outcome()

    def proved(self):
        self.proofs += 1

    def failed(self):
        self.failures += 1


class Bench:
    """A session, its far end, and what it told; `make` before use."""

    def __init__(self):
        self.key = X25519PrivateKey.generate()
        self.told = queue.SimpleQueue()
        self.tun, self.kernel = make_tun()
        self.far = None

    def make(self, report=REPORT, linger_s=1000.0):
        payload = report.to_json() if not isinstance(report, bytes) else report
        self.far = FarEnd(self.key.public_key().public_bytes_raw(), payload)
        self.opener = Opener(self.far.carrier)
        tunnel = Tunnel(
            Role.INITIATOR,
            self.key,
            self.far.public_key,
            session_id=SESSION_ID,
            report=b"{}",
            random_bytes=os.urandom,
            now=time.monotonic(),
        )
        self.session = Session(self.opener, linger_s, self.told.put)
        self.session.link = Link(
            self.tun.fileno(), tunnel, inner_addresses=[LAPTOP], at_gateway=False, on_event=self.session.on_event
        )
        return self.session

    def open(self, **options):
        session = self.make(**options)
        session.open()
        self.far.heard(Opened)
        return session

    def free(self):
        self.session.close("test is over")
        for thread in threading.enumerate():
            if thread.name == "kttun-dial":
                thread.join(60)
        self.session.link.free()
        self.far.free()
        self.tun.close()
        self.kernel.close()


@pytest.fixture
def bench(monkeypatch):
    monkeypatch.setattr(session_module, "CLOSE_S", 30.0)
    made = Bench()
    yield made
    made.free()


@pytest.fixture
def session(bench):
    """A session that is open."""
    return bench.open()


def test_opening_gives_what_the_gateway_says_of_itself(bench):
    assert bench.make().open() == REPORT
    assert bench.opener.proofs == 1
    assert bench.told.empty()


def test_an_open_session_tells_its_status(session):
    status = session.status()
    assert (status["state"], status["resumes"]) == ("open", 0)
    (lane,) = status["lanes"]
    assert (lane["index"], lane["state"], lane["carrier"], lane["in_flight"]) == (0, "open", "plain", 0)
    assert status["since"].endswith("+00:00")
    assert status["last_echo_s"] >= 0
    assert set(status["counters"]) == {"tx_packets", "tx_bytes", "rx_packets", "rx_bytes", "drops"}


def test_before_the_first_echo_there_is_no_round_trip(bench):
    bench.make()
    status = bench.session.status()
    assert (status["state"], status["rtt_ms"], status["lanes"][0]["carrier"]) == ("connecting", None, None)


def test_attempts_that_fail_are_made_again(bench):
    session = bench.make()
    bench.opener.script += [LaneLostError("refused"), EnvironmentFaultError("restarting"), OSError("reset")]
    assert session.open() == REPORT


def test_a_lane_that_dies_before_the_gateway_answered_lets_the_opener_try_another_way(bench):
    def stillborn():
        near, far = socket.socketpair()
        far.close()
        return PlainCarrier(near)

    session = bench.make()
    bench.opener.script += [stillborn, stillborn]
    assert session.open() == REPORT
    assert (bench.opener.failures, bench.opener.proofs) == (2, 1)
    assert bench.told.empty()


def test_a_lost_lane_comes_back_and_people_are_told_both(bench, session):
    bench.far.cut()
    first = bench.told.get(timeout=60)
    assert first.startswith("tunnel lost: connection ")
    assert first.endswith("; coming back")
    assert bench.told.get(timeout=60).startswith("tunnel is back after ")
    assert bench.far.heard(Opened).resumed
    assert session.status()["resumes"] == 1
    assert bench.told.empty()


def test_a_tunnel_that_is_away_is_told_once(bench, session):
    bench.opener.script += [LaneLostError("away")] * 2
    bench.far.cut()
    assert bench.told.get(timeout=60).startswith("tunnel lost: ")
    assert bench.told.get(timeout=60).startswith("tunnel is back ")
    assert bench.told.empty()


def test_finish_ends_the_wait_with_a_code(session):
    threading.Thread(target=session.finish, args=(42,)).start()
    assert session.wait() == 42


def test_whatever_fails_ends_the_wait(session):
    session.fail(TunnelError("the root helper is gone"))
    with pytest.raises(TunnelError, match="helper"):
        session.wait()


def test_an_error_that_will_not_pass_ends_the_opening_at_once_as_itself(bench):
    session = bench.make()
    refusal = EnvironmentFaultError("port-forward is forbidden", "ask for it")
    bench.opener.script.append(Hopeless(refusal))
    with pytest.raises(EnvironmentFaultError) as caught:
        session.open()
    assert caught.value is refusal


def test_a_gateway_that_is_gone_ends_the_opening(bench):
    session = bench.make()
    bench.opener.script.append(TunnelError("the gateway pod is gone"))
    with pytest.raises(TunnelError, match="gone"):
        session.open()


def test_an_error_that_will_not_pass_ends_an_open_session_as_a_lost_tunnel(bench, session):
    bench.opener.script.append(Hopeless(EnvironmentFaultError("port-forward is forbidden", "ask for it")))
    bench.far.cut()
    with pytest.raises(TunnelError, match="the tunnel was lost for good: port-forward is forbidden") as caught:
        session.wait()
    assert caught.value.hints == ("ask for it",)


def test_a_bug_in_dialling_reaches_the_main_thread(bench):
    session = bench.make()
    bench.opener.script.append(KeyError("bug"))
    with pytest.raises(KeyError):
        session.open()


def test_a_bug_in_the_links_thread_reaches_the_main_thread(bench, session):
    session.link.loop.call_soon(lambda: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        session.wait()


def test_a_gateway_that_never_answers_is_given_up_with_the_last_reason(bench, monkeypatch):
    monkeypatch.setattr(session_module, "OPEN_S", 0.01)
    gate = threading.Event()
    session = bench.make()
    bench.opener.usual = lambda: gate.wait(60) and bench.far.carrier()
    with pytest.raises(TunnelError, match=r"the gateway did not answer within 0\.01 s: no answer") as caught:
        session.open()
    assert "--carrier websocket" in caught.value.hints[0]
    gate.set()


class ImpatientOutcome(queue.SimpleQueue):
    """Nothing comes of it; the waiting is over when `tried` is set."""

    def __init__(self, tried):
        self.tried = tried

    def get(self, timeout):
        assert self.tried.wait(timeout)
        raise queue.Empty


def test_the_last_reason_of_a_retry_is_told(bench, monkeypatch):
    monkeypatch.setattr(session_module, "OPEN_S", 0)
    session = bench.make()
    bench.opener.script += [LaneLostError("connection refused")]
    session._outcome = ImpatientOutcome(tried := threading.Event())
    # The second attempt begins when the first one's error has long been told to the link's thread.
    bench.opener.usual = lambda: session.link.loop.call_soon(tried.set) or bench.far.carrier()
    with pytest.raises(TunnelError, match="s: connection refused"):
        session.open()


def answering(status, version):
    """A carrier whose far end refuses the handshake."""
    near, far = socket.socketpair()
    far.sendall(Preface(SESSION_ID, version=version, status=status).pack())
    return PlainCarrier(near), far


def test_a_gateway_of_another_version_is_told_as_that(bench):
    session = bench.make()
    carrier, far = answering(Status.VERSION_MISMATCH, 9)
    bench.opener.script.append(lambda: carrier)
    with pytest.raises(TunnelError, match="gateway speaks protocol 9, this kttun speaks 1") as caught:
        session.open()
    assert "image" in caught.value.hints[0]
    far.close()


@pytest.mark.parametrize("report", [b"", b"[]", b'{"version": 1}'])
def test_a_report_that_cannot_be_read_is_told(bench, report):
    with pytest.raises(TunnelError, match="the gateway's report cannot be read: "):
        bench.make(report).open()


def test_a_session_that_is_finished_before_it_is_open_does_not_open(bench):
    session = bench.make()
    bench.opener.usual = LaneLostError("away")
    session.finish(0)
    with pytest.raises(TunnelError, match="the session ended before it was open"):
        session.open()


def test_a_gateway_that_ends_the_session_says_why(bench, session):
    bench.far.close("the gateway is being stopped")
    with pytest.raises(TunnelError, match="the gateway ended the session: the gateway is being stopped"):
        session.wait()


def test_a_network_device_that_goes_ends_the_session(bench, session):
    bench.kernel.close()
    with pytest.raises(TunnelError, match="the network device is gone: "):
        session.wait()


def test_a_tunnel_away_for_longer_than_the_gateway_waits_is_given_up(bench):
    session = bench.open(linger_s=-1.0)
    bench.opener.usual = LaneLostError("connection refused")
    bench.far.cut()
    with pytest.raises(TunnelError, match="the tunnel was lost and did not come back in -1 s: "):
        session.wait()


def test_lanes_that_come_and_go_again_do_not_keep_a_lost_tunnel_alive(bench, session):
    """The gateway has ended, its pod has not: each port-forward succeeds and dies at once."""
    attempts = []

    def stillborn():
        near, far = socket.socketpair()
        far.close()
        attempts.append(near)
        if len(attempts) == 3:
            session._gone_at = -math.inf
        return PlainCarrier(near)

    bench.opener.usual = stillborn
    bench.far.cut()
    with pytest.raises(TunnelError, match="did not come back in 1000 s: "):
        session.wait()
    assert len(attempts) == 3


def test_closing_tells_the_gateway_and_stops_the_thread(bench, session):
    session.close("the client ended the session")
    assert bench.far.heard(PeerClosed) == PeerClosed("the client ended the session")
    assert not session._thread.is_alive()
    assert session.status()["state"] == "closed"
    session.close("again")


def test_closing_what_was_never_opened_does_nothing(bench):
    bench.make().close("never mind")


def test_closing_while_the_tunnel_is_away_does_not_bring_it_back(bench, session):
    gate = threading.Event()
    bench.opener.usual = lambda: gate.wait(60) and bench.far.carrier()
    bench.far.cut()
    assert bench.told.get(timeout=60).startswith("tunnel lost")
    session.close("enough")
    gate.set()
    assert session.status()["state"] == "closed"
    assert bench.told.empty()


def test_a_lane_that_breaks_while_closing_is_no_loss(bench, session):
    session._closing = True
    session._lost(LaneLostError("broken"))
    assert bench.told.empty()
    assert bench.opener.failures == 0
