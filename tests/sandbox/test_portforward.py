"""Port-forward with kttun's own carriers: bytes both ways, refusals, ends, back-pressure, on either flavour."""

import contextlib
import select
import socket
import threading

import pytest
from lanes import PATIENCE_S, echo, end_of, exchange, receive
from practice import listening

from kttun.config import CarrierKind
from kttun.link.reach import DialError, DialFailure
from kttun.link.upgrade import AUTO_ORDER, dial
from kttun.protocol import HEADROOM
from kttun.sandbox.kinds import PODS

BOTH = pytest.mark.parametrize("kind", AUTO_ORDER)


@pytest.fixture
def pod(shop):
    spec = {"nodeName": "n1", "containers": [{"name": "main", "image": "i"}]}
    return shop.create(PODS, {"metadata": {"name": "p", "namespace": "shop"}, "spec": spec})


@pytest.fixture
def lane(shop, pod):
    """Open lanes to a port of the pod; they are closed at the end."""
    carriers = []

    def open_lane(port, kind, *who, **more):
        endpoint = shop.login(*who, **more).endpoint
        carriers.append(dial(endpoint, "shop", "p", port, kind=kind, timeout_s=PATIENCE_S))
        return carriers[-1]

    yield open_lane
    for carrier in carriers:
        carrier.close()


@BOTH
def test_bytes_go_both_ways(lane, kind):
    with listening(echo) as port:
        carrier = lane(port, kind)
        for text in (b"hello", b"x" * 200_000, b"again"):
            assert exchange(carrier, text) == text


@BOTH
def test_a_closed_port_is_told_in_words(lane, kind):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    told = end_of(lane(port, kind))
    assert f"error forwarding port {port} to pod p" in told
    assert "connection refused" in told


@BOTH
def test_what_the_pod_said_last_arrives_before_its_end(lane, kind):
    def say(connection):
        with connection:
            connection.sendall(b"y" * 300_000)

    with listening(say) as port:
        carrier = lane(port, kind)
        assert receive(carrier, 300_000) == b"y" * 300_000
        assert end_of(carrier) == "the pod closed the stream"


@BOTH
def test_the_pod_is_told_when_the_client_has_gone(lane, kind):
    gone = threading.Event()

    def wait(connection):
        with connection, contextlib.suppress(ConnectionError):
            connection.sendall(b"here")
            assert not connection.recv(1)
        gone.set()

    with listening(wait) as port:
        carrier = lane(port, kind)
        receive(carrier, 4)
        carrier.close()
        assert gone.wait(PATIENCE_S)


@BOTH
def test_a_pod_that_does_not_read_stops_the_sender(lane, kind):
    read_on = threading.Event()
    total = threading.Event()
    sent = 0

    def lazy(connection):
        with connection:
            connection.sendall(b"!")
            read_on.wait(PATIENCE_S)
            have = 0
            while have < sent:
                have += len(connection.recv(65536))
            total.set()

    with listening(lazy) as port:
        carrier = lane(port, kind)
        receive(carrier, 1)
        rest = memoryview(b"")
        while True:
            if not rest:
                rest = carrier.frame(bytearray(HEADROOM) + b"z" * 60_000)
                sent += 60_000
            n = carrier.send(rest)
            rest = rest[n:]
            if not n and not select.select([], [carrier], [], 0.5)[1]:
                break
            assert sent < 64 * 1024 * 1024, "bytes are kept without bound"
        read_on.set()
        while rest:
            n = carrier.send(rest)
            rest = rest[n:]
            assert n or select.select([], [carrier], [], PATIENCE_S)[1]
        assert total.wait(PATIENCE_S)


@BOTH
def test_a_client_that_does_not_read_stops_the_pod(lane, kind):
    stuck, sent = threading.Event(), []

    def gush(connection):
        with connection:
            connection.settimeout(0.5)
            try:
                while sum(sent) < 64 * 1024 * 1024:
                    sent.append(connection.send(b"z" * 65536))
            except TimeoutError:
                stuck.set()

    with listening(gush) as port:
        carrier = lane(port, kind)
        assert stuck.wait(PATIENCE_S), "bytes are kept without bound"
        assert len(receive(carrier, sum(sent))) == sum(sent)


def test_a_pod_that_is_not_there_is_gone(shop):
    with pytest.raises(DialError) as failed:
        dial(shop.login().endpoint, "shop", "p", 80, kind=CarrierKind.SPDY, timeout_s=PATIENCE_S)
    assert failed.value.failure is DialFailure.POD_GONE
    assert 'pods "p" not found' in failed.value.message


@pytest.mark.parametrize(("kind", "verb"), [(CarrierKind.SPDY, "create"), (CarrierKind.WEBSOCKET, "get")])
def test_who_may_not_is_told_which_verb_it_takes(lane, kind, verb):
    with pytest.raises(DialError) as failed:
        lane(80, kind, "jane", ())
    assert failed.value.failure is DialFailure.FORBIDDEN
    assert f'cannot {verb} resource "pods/portforward"' in failed.value.message
