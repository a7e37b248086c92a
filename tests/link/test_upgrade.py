import select
import ssl
import threading

import pytest
from forwarder import Forwarder, Proxy, answer, certificate, status

from kttun.config import CarrierKind, HttpProxy
from kttun.errors import InternalError
from kttun.link.carrier import LaneLostError
from kttun.link.reach import DialError, DialFailure
from kttun.link.upgrade import AUTO_ORDER, dial
from kttun.protocol import HEADROOM

KINDS = list(AUTO_ORDER)
PORT = 12345


@pytest.fixture(scope="module")
def pem(tmp_path_factory):
    return certificate(tmp_path_factory.mktemp("tls"))


def open_lane(endpoint, kind, timeout_s=10):
    return dial(endpoint, "team", "gateway-1", PORT, kind=kind, timeout_s=timeout_s)


def record(payload):
    return bytearray(HEADROOM) + payload


def exchange(carrier, payloads, total):
    """Send all payloads as records while reading, until `total` bytes have come."""
    poll = select.poll()
    queue = [carrier.frame(record(payload)) for payload in payloads]
    got, buffer = bytearray(), memoryview(bytearray(100_000))
    while len(got) < total:
        waiting = bool(queue) or carrier.want_write
        poll.register(carrier.fileno(), select.POLLIN | (select.POLLOUT if waiting else 0))
        if not carrier.pending:
            assert poll.poll(20_000)
        n = carrier.receive_into(buffer)
        got += buffer[:n]
        rest = queue.pop(0) if queue else memoryview(b"")
        rest = rest[carrier.send(rest) :]
        if rest:
            queue.insert(0, rest)
    return bytes(got)


def until_lost(carrier):
    """Read to the end: what came, and the reason."""
    got, buffer = bytearray(), memoryview(bytearray(1000))
    poll = select.poll()
    poll.register(carrier.fileno(), select.POLLIN)
    while True:
        if not carrier.pending:
            assert poll.poll(20_000)
        try:
            n = carrier.receive_into(buffer)
        except LaneLostError as lost:
            return bytes(got), lost.message
        got += buffer[:n]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("tls", [True, False])
def test_bytes_come_back_whole_and_in_order(kind, tls, pem):
    payloads = [bytes([i]) * (i * 701 + 1) for i in range(90)] + [bytes(range(256)) * 1024] * 3
    with Forwarder(pem if tls else None) as server:
        carrier = open_lane(server.endpoint(), kind)
        assert carrier.name == kind.value
        assert exchange(carrier, payloads, sum(map(len, payloads))) == b"".join(payloads)
        carrier.close()
        carrier.close()
        assert carrier.fileno() == -1


@pytest.mark.parametrize("kind", KINDS)
def test_the_request_carries_path_port_credentials_and_impersonation(kind, pem):
    with Forwarder(pem) as server:
        open_lane(server.endpoint(), kind).close()
        request = server.requests[0]
        method = "POST" if kind is CarrierKind.SPDY else "GET"
        assert request.startswith(f"{method} /k8s/api/v1/namespaces/team/pods/gateway-1/portforward")
        assert ("?ports=12345 " in request) == (kind is CarrierKind.WEBSOCKET)
        assert "Authorization: Bearer secret\r\n" in request
        assert "Impersonate-User: jane\r\n" in request
        assert request.count("Host: ") == 1


def test_the_spdy_streams_carry_type_and_port(pem):
    seen = {}
    ready = threading.Event()

    def pod(end):
        seen.update(end.streams)
        ready.set()

    with Forwarder(pem, pod=pod) as server:
        carrier = open_lane(server.endpoint(), CarrierKind.SPDY)
        assert ready.wait(20)
        carrier.close()
    assert seen == {
        1: {"streamtype": "error", "port": "12345", "requestid": "0"},
        3: {"streamtype": "data", "port": "12345", "requestid": "0"},
    }


@pytest.mark.parametrize("kind", KINDS)
def test_pings_are_answered_while_data_flows(kind, pem):
    ends = []
    finished = threading.Event()

    def pod(end):
        ends.append(end)
        for n in range(2, 40, 2):
            end.ping(n)
            end.send(end.receive())
        end.receive()
        finished.set()

    payloads = [b"x" * 70_000] * 19
    with Forwarder(pem, pod=pod) as server:
        carrier = open_lane(server.endpoint(), kind)
        exchange(carrier, payloads, sum(map(len, payloads)))
        while carrier.want_write:
            carrier.send(memoryview(b""))
        carrier.close()
        assert finished.wait(20)
        assert ends[0].pongs == [n.to_bytes(4, "big") for n in range(2, 40, 2)]


@pytest.mark.parametrize("kind", KINDS)
def test_the_runtimes_error_text_comes_after_the_bytes_before_it(kind, pem):
    def pod(end):
        end.send(b"last words " * 5000)
        end.fail("connection refused inside the pod")
        end.receive()

    with Forwarder(pem, pod=pod) as server:
        carrier = open_lane(server.endpoint(), kind)
        got, reason = until_lost(carrier)
        assert got == b"last words " * 5000
        assert reason == "connection refused inside the pod"
        carrier.close()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("farewell", ["finish", "nothing"])
def test_the_end_of_the_stream_is_a_lost_lane_after_its_bytes(kind, farewell, pem):
    def pod(end):
        end.send(b"bye")
        if farewell == "finish":
            end.finish()

    with Forwarder(pem, pod=pod) as server:
        carrier = open_lane(server.endpoint(), kind)
        got, reason = until_lost(carrier)
        assert got == b"bye"
        assert "closed" in reason
        carrier.close()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "answered",
    [
        (status(401, "Unauthorized", "Unauthorized"), DialFailure.UNAUTHORIZED, True, "credentials"),
        (status(403, "Forbidden", 'User "jane" cannot'), DialFailure.FORBIDDEN, False, 'User "jane" cannot'),
        (answer(403), DialFailure.REFUSED, False, "403"),
        (status(404, "NotFound", 'pods "gateway-1" not found'), DialFailure.POD_GONE, False, "not found"),
        (answer(404), DialFailure.RESTARTING, True, "404"),
        (answer(500), DialFailure.RESTARTING, True, "500"),
        (status(500, "", "error dialing backend"), DialFailure.RESTARTING, True, "error dialing backend"),
        (answer(503, "<html>no</html>"), DialFailure.RESTARTING, True, "503"),
        (answer(429), DialFailure.RESTARTING, True, "429"),
        (answer(400, "bad upgrade"), DialFailure.REFUSED, False, "400"),
        (answer(200, "[1]"), DialFailure.REFUSED, False, "200"),
        (answer(101), DialFailure.REFUSED, False, ""),
        (b"SSH-2.0-OpenSSH\r\n\r\n", DialFailure.UNREACHABLE, True, "no HTTP"),
        (b"HTTP/1.1 404 Not Found\r\n" + b"X: y\r\n" * 20_000, DialFailure.UNREACHABLE, True, "too long"),
        (b"HTTP/1.1 500 No\r\nContent-Length: 900000\r\n\r\n" + b"z" * 900_000, DialFailure.RESTARTING, True, "500"),
    ],
)
def test_each_refusal_says_whose_fault_it_is(kind, answered, pem):
    reply, failure, retryable, said = answered
    with Forwarder(pem, reply=reply) as server, pytest.raises(DialError) as caught:
        open_lane(server.endpoint(), kind)
    assert caught.value.failure is failure
    assert caught.value.retryable is retryable
    assert said in caught.value.message
    assert "\n" not in caught.value.message


@pytest.mark.parametrize(("kind", "verb"), [(CarrierKind.SPDY, "create"), (CarrierKind.WEBSOCKET, "get and create")])
def test_a_missing_right_names_the_verb_of_its_kind(kind, verb, pem):
    with Forwarder(pem, reply=status(403, "Forbidden", "no")) as server, pytest.raises(DialError) as caught:
        open_lane(server.endpoint(), kind)
    assert f"verb {verb} on pods/portforward" in caught.value.hints[0]


def test_a_certificate_of_somebody_else_is_named(pem):
    with Forwarder(pem) as server:
        with pytest.raises(DialError) as caught:
            open_lane(server.endpoint(server_hostname="other.test"), CarrierKind.SPDY)
        assert caught.value.failure is DialFailure.TLS
        assert "other.test" in caught.value.message
        with pytest.raises(DialError, match="certificate") as caught:
            open_lane(server.endpoint(trusted=False), CarrierKind.SPDY)
        assert not caught.value.retryable


def test_nobody_listening_is_unreachable(pem):
    with Forwarder(pem) as server:
        endpoint = server.endpoint()
    with pytest.raises(DialError, match="Connection refused") as caught:
        open_lane(endpoint, CarrierKind.SPDY)
    assert caught.value.failure is DialFailure.UNREACHABLE
    assert caught.value.retryable


def test_a_silent_server_is_given_up_at_the_deadline(pem):
    with Forwarder(None, reply=b"HTTP/1.1 101 Swi") as server, pytest.raises(DialError, match="no answer in time"):
        open_lane(server.endpoint(), CarrierKind.SPDY, timeout_s=0.2)


def test_a_server_that_speaks_no_tls_is_a_tls_failure(pem):
    with Forwarder(pem) as with_tls, Forwarder(None, reply=b"hello") as without:
        endpoint = with_tls.endpoint()
        object.__setattr__(endpoint, "port", without.port)
        with pytest.raises(DialError) as caught:
            open_lane(endpoint, CarrierKind.SPDY, timeout_s=5)
    assert caught.value.failure in {DialFailure.TLS, DialFailure.UNREACHABLE}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("tls", [True, False])
def test_a_proxy_opens_the_tunnel_with_its_own_credentials_only(kind, tls, pem, monkeypatch):
    context = None
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem)
        monkeypatch.setenv("SSL_CERT_FILE", str(pem))
    payloads = [b"through" * 9000] * 20
    with Forwarder(pem) as server, Proxy(context) as proxy:
        way = HttpProxy("127.0.0.1", proxy.port, tls=tls, authorization="Basic eDp5")
        carrier = open_lane(server.endpoint(proxy=way), kind)
        assert exchange(carrier, payloads, sum(map(len, payloads))) == b"".join(payloads)
        carrier.close()
        assert proxy.requests[0].startswith(f"CONNECT 127.0.0.1:{server.port} HTTP/1.1\r\n")
        assert "Proxy-Authorization: Basic eDp5\r\n" in proxy.requests[0]
        assert "secret" not in proxy.requests[0]
        assert "Proxy-Authorization" not in server.requests[0]


@pytest.mark.parametrize(
    ("reply", "failure"), [(answer(407), DialFailure.PROXY), (answer(502), DialFailure.UNREACHABLE)]
)
def test_a_proxys_refusal_is_told_from_a_server_behind_it_that_is_away(reply, failure, pem):
    with Forwarder(pem) as server, Proxy(reply=reply) as proxy, pytest.raises(DialError, match="proxy") as caught:
        open_lane(server.endpoint(proxy=HttpProxy("127.0.0.1", proxy.port)), CarrierKind.SPDY)
    assert caught.value.failure is failure


def test_auto_is_the_callers_choice(pem):
    with Forwarder(pem) as server, pytest.raises(InternalError):
        open_lane(server.endpoint(), CarrierKind.AUTO)
    assert KINDS == [CarrierKind.SPDY, CarrierKind.WEBSOCKET]


@pytest.mark.parametrize("kind", KINDS)
def test_a_pod_that_does_not_read_stops_the_sender_without_losing_a_byte(kind, pem):
    go = threading.Event()
    got = []

    def pod(end):
        go.wait(20)
        while sum(map(len, got)) < sent[0] and (piece := end.receive()):
            got.append(piece)
        end.send(b"all")

    sent = [1 << 62]
    payload = b"y" * 65_000
    with Forwarder(pem, pod=pod) as server:
        carrier = open_lane(server.endpoint(), kind)
        framed, total = carrier.frame(record(payload)), 0
        while (n := carrier.send(framed)) or not carrier.want_write:
            framed = framed[n:]
            if not framed:
                total += len(payload)
                framed = carrier.frame(record(payload))
        sent[0] = total + len(payload)
        go.set()
        poll = select.poll()
        poll.register(carrier.fileno(), select.POLLOUT)
        while framed:
            assert poll.poll(20_000)
            framed = framed[carrier.send(framed) :]
        assert exchange(carrier, [], 3) == b"all"
        carrier.close()
    assert b"".join(got) == payload * (sent[0] // len(payload))
