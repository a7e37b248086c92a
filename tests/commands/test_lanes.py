"""Which carrier a lane takes: what was refused is not tried again, what has proved itself is kept."""

import pytest

from kttun.commands import lanes
from kttun.commands.lanes import Hopeless, LaneOpener
from kttun.config import CarrierKind
from kttun.errors import TunnelError
from kttun.link.dialer import Dialer
from kttun.link.reach import DialError, DialFailure

SPDY, WEBSOCKET = CarrierKind.SPDY, CarrierKind.WEBSOCKET


@pytest.fixture
def dialled(monkeypatch):
    """What was dialled, each as (namespace, pod, port, kind), and the failure in which each kind shall end."""
    calls, failures = [], {}

    def dial(_endpoint, namespace, pod, port, *, kind, timeout_s):
        assert timeout_s == lanes.DIAL_S
        calls.append((namespace, pod, port, kind))
        if kind in failures:
            raise DialError(failures[kind], f"{kind} failed", "a hint")
        return f"a {kind} carrier"

    monkeypatch.setattr(lanes, "dial", dial)
    return calls, failures


@pytest.fixture
def opener(dialled):
    """A function that makes an opener for a kind, and lets kinds fail."""

    def make(kind=CarrierKind.AUTO, **failures):
        dialled[1].update({CarrierKind(name): failure for name, failure in failures.items()})
        return LaneOpener(None, "shop", "pod", 7107, kind)

    return make


def kinds(dialled):
    return [call[3] for call in dialled[0]]


def test_spdy_comes_first_and_goes_to_the_gateways_port(opener, dialled):
    assert opener()() == "a spdy carrier"
    assert dialled[0] == [("shop", "pod", 7107, SPDY)]


@pytest.mark.parametrize("failure", [DialFailure.REFUSED, DialFailure.FORBIDDEN])
def test_what_is_not_let_through_gives_way_to_the_other_kind_for_good(opener, dialled, failure):
    open_lane = opener(spdy=failure)
    assert [open_lane(), open_lane()] == ["a websocket carrier"] * 2
    assert kinds(dialled) == [SPDY, WEBSOCKET, WEBSOCKET]


@pytest.mark.parametrize("failure", [DialFailure.REFUSED, DialFailure.FORBIDDEN, DialFailure.TLS, DialFailure.PROXY])
def test_when_no_kind_is_left_the_last_reason_is_for_good(opener, failure):
    open_lane = opener(spdy=DialFailure.REFUSED, websocket=failure)
    for _ in range(2):
        with pytest.raises(Hopeless, match="websocket failed") as caught:
            open_lane()
        assert caught.value.error.failure is failure
        assert caught.value.error.hints == ("a hint",)


@pytest.mark.parametrize("kind", [SPDY, WEBSOCKET])
def test_a_kind_that_was_chosen_has_no_other(opener, dialled, kind):
    open_lane = opener(kind, **{kind: DialFailure.REFUSED})
    with pytest.raises(Hopeless, match=f"{kind} failed"):
        open_lane()
    open_lane.failed()
    with pytest.raises(Hopeless):
        open_lane()
    assert kinds(dialled) == [kind, kind]


@pytest.mark.parametrize("failure", [DialFailure.UNREACHABLE, DialFailure.UNAUTHORIZED, DialFailure.RESTARTING])
def test_what_may_pass_is_left_to_the_dialer_on_the_same_kind(opener, dialled, failure):
    open_lane = opener(spdy=failure)
    for _ in range(2):
        with pytest.raises(DialError):
            open_lane()
    assert kinds(dialled) == [SPDY, SPDY]


def test_a_pod_that_is_gone_is_the_end(opener):
    with pytest.raises(TunnelError, match="the gateway pod is gone") as caught:
        opener(spdy=DialFailure.POD_GONE)()
    assert caught.value.hints == ("kttun up makes a new one",)


def test_a_lane_that_ended_unproved_lets_the_kinds_take_turns(opener, dialled):
    open_lane = opener()
    for _ in range(3):
        open_lane()
        open_lane.failed()
    assert kinds(dialled) == [SPDY, WEBSOCKET, SPDY]


def test_a_kind_that_has_proved_itself_is_kept_when_its_lane_dies(opener, dialled):
    open_lane = opener()
    open_lane()
    open_lane.failed()
    open_lane()
    open_lane.proved()
    open_lane.failed()
    open_lane()
    assert kinds(dialled) == [SPDY, WEBSOCKET, WEBSOCKET]


@pytest.mark.parametrize("failure", [DialFailure.TLS, DialFailure.POD_GONE])
def test_the_dialer_does_not_retry_what_is_for_good(opener, failure):
    """The contract between both: every `EnvironmentFaultError` is tried again, so these must be none."""
    soon, told = [], []
    open_lane = opener(SPDY, spdy=failure)
    dialer = Dialer(open_lane, call_soon=soon.append, on_carrier=told.append, on_error=told.append)
    dialer.start()
    dialer._thread.join(60)
    soon[0]()
    assert [type(error) for error in told] == [TunnelError if failure is DialFailure.POD_GONE else Hopeless]
