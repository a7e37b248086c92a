"""The forwarder as its clients see it: real sockets on loopback, scripted servers behind it."""

import socket
import threading
from ipaddress import ip_address

import dns.flags
import dns.message
import dns.query
import dns.rcode
import pytest

from kttun.errors import EnvironmentFaultError
from kttun.names.answering import MAX_WAITING
from kttun.names.forwarder import MAX_CONNECTIONS, Forwarder
from kttun.names.plan import ForwarderPlan, Nameserver
from kttun.names.upstreams import Patience

FULL = "web.orders.svc.cluster.local."
WAIT_S = 10
PATIENT = Patience(attempt_s=WAIT_S, total_s=WAIT_S)


class Client:
    """Asks one forwarder."""

    def __init__(self, forwarder, host, port):
        self.forwarder, self.host, self.port = forwarder, host, port

    def udp(self, name, rdtype="A", **options):
        query = dns.message.make_query(name, rdtype, **options)
        return dns.query.udp(query, self.host, WAIT_S, self.port)

    def tcp(self, name, rdtype="A"):
        return dns.query.tcp(dns.message.make_query(name, rdtype), self.host, WAIT_S, self.port)

    def connect(self):
        return socket.create_connection((self.host, self.port), WAIT_S)


@pytest.fixture
def forward(sockets):
    """Start forwarders by plan, and stop them."""
    running = []

    def start(cluster_dns, upstream=(), host="127.0.0.1", patience=PATIENT):
        udp, tcp = sockets(host)
        plan = ForwarderPlan(tuple(cluster_dns), "cluster.local", "orders", upstream=tuple(upstream))
        forwarder = Forwarder(plan, [udp], [tcp], patience=patience)
        port = tcp.getsockname()[1]
        running.append(forwarder)
        forwarder.start()
        return Client(forwarder, host, port)

    yield start
    for forwarder in running:
        forwarder.stop()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize("name", [FULL, "web.orders.svc.", "web.orders.", "WeB."])
def test_every_spelling_gets_the_address_under_its_own_name(forward, cluster, host, transport, name):
    cluster.script[FULL] = [("A", "10.96.0.7")]
    client = forward([cluster.nameserver], host=host)
    answer = getattr(client, transport)(name)
    assert answer.rcode() == dns.rcode.NOERROR
    assert answer.answer[0].to_text() == f"{name} 17 IN A 10.96.0.7"
    assert answer.flags & dns.flags.RA


def test_unknown_types_and_edns_cross_as_they_are(forward, cluster):
    cluster.script[FULL] = [("TYPE4711", r"\# 3 abcdef")]
    client = forward([cluster.nameserver])
    answer = client.udp(FULL, "TYPE4711", use_edns=0, payload=1400, want_dnssec=True)
    assert answer.answer[0].to_text() == rf"{FULL} 17 IN TYPE4711 \# 3 abcdef"
    asked = dns.message.from_wire(cluster.asked[0])
    assert (asked.payload, asked.ednsflags & dns.flags.DO) == (1400, dns.flags.DO)


def test_other_names_are_refused_where_resolved_asks(forward, cluster):
    client = forward([cluster.nameserver])
    assert client.udp("www.example.com.").rcode() == dns.rcode.REFUSED
    assert cluster.asked == []
    assert client.forwarder.counters().answered_here == 1


def test_other_names_go_upstream_as_they_are_where_resolv_conf_names_us(forward, cluster, upstream):
    upstream.script["www.example.com."] = [("A", "192.0.2.1")]
    client = forward([cluster.nameserver], [upstream.nameserver])
    assert client.udp("www.Example.com.").answer[0].to_text() == "www.Example.com. 17 IN A 192.0.2.1"
    assert cluster.asked == []


def test_no_public_name_and_no_wpad_crosses_the_tunnel(forward, cluster, upstream):
    client = forward([cluster.nameserver], [upstream.nameserver])
    for name in ("www.example.com.", "wpad.", "printer.local.", "1.1.168.192.in-addr.arpa.", "example.com.orders.svc."):
        client.udp(name)
    client.udp("wpad.orders.svc.cluster.local.")
    client.udp("www.example.com.orders.svc.cluster.local.")
    assert [dns.message.from_wire(wire).question[0].name.to_text() for wire in cluster.asked] == [
        "example.com.orders.svc.cluster.local."
    ]


def test_a_single_label_that_the_cluster_does_not_know_is_asked_upstream(forward, cluster, upstream):
    upstream.script["nas."] = [("A", "192.168.1.9")]
    client = forward([cluster.nameserver], [upstream.nameserver])
    assert client.udp("nas.").answer[0].to_text() == "nas. 17 IN A 192.168.1.9"
    assert client.udp("nope.").rcode() == dns.rcode.NXDOMAIN


def test_no_such_name_stays_so(forward, cluster):
    client = forward([cluster.nameserver])
    assert client.udp("nope.orders.svc.").rcode() == dns.rcode.NXDOMAIN


def test_a_truncated_answer_is_asked_again_by_tcp_to_the_end(forward, cluster):
    def cut_by_udp(wire):
        response = dns.message.make_response(dns.message.from_wire(wire))
        response.flags |= dns.flags.TC
        return response.to_wire()

    cluster.script[FULL] = cut_by_udp
    client = forward([cluster.nameserver])
    assert client.udp("web.orders.svc.").flags & dns.flags.TC
    cluster.script[FULL] = [("TXT", *(f'"{number}{"x" * 200}"' for number in range(100)))]
    assert len(client.tcp("web.orders.svc.", "TXT").answer[0]) == 100
    assert cluster.tcp_asked


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_a_silent_cluster_gives_servfail(forward, cluster, transport):
    cluster.script[FULL] = lambda wire: None
    client = forward([cluster.nameserver], patience=Patience(0.05, 0.1))
    assert getattr(client, transport)("web.").rcode() == dns.rcode.SERVFAIL
    assert client.forwarder.counters().unanswered == 1


def test_an_unreadable_answer_to_an_expanded_question_gives_servfail(forward, cluster):
    cluster.script[FULL] = lambda wire: wire[:2] + b"\x80\x00\0\1\0\1" + wire[8:] + b"\xff"
    client = forward([cluster.nameserver])
    assert client.udp("web.orders.svc.").rcode() == dns.rcode.SERVFAIL


def test_identical_questions_at_the_same_time_are_asked_once(forward, cluster):
    arrived, go_on = threading.Event(), threading.Event()

    def answer_when_told(wire):
        arrived.set()
        assert go_on.wait(WAIT_S)
        return dns.message.make_response(dns.message.from_wire(wire)).to_wire()

    cluster.script[FULL] = answer_when_told
    client = forward([cluster.nameserver], patience=PATIENT)
    query = dns.message.make_query(FULL, "A").to_wire()
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as two,
    ):
        for number, sock in enumerate((one, two)):
            sock.settimeout(WAIT_S)
            sock.connect((client.host, client.port))
            sock.send(bytes([0, number]) + query[2:])
        assert arrived.wait(WAIT_S)
        # A third party's answer proves that both datagrams before it have been taken in.
        assert client.udp("www.example.com.").rcode() == dns.rcode.REFUSED
        go_on.set()
        assert [one.recv(512)[:2], two.recv(512)[:2]] == [b"\0\0", b"\0\1"]
    assert len(cluster.asked) == 1
    assert client.forwarder.counters().shared == 1


def test_rubbish_gets_no_answer_or_formerr_and_harms_nobody(forward, cluster):
    cluster.script[FULL] = [("A", "10.96.0.7")]
    client = forward([cluster.nameserver])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(WAIT_S)
        sock.connect((client.host, client.port))
        response = dns.message.make_response(dns.message.make_query(FULL, "A"))
        for wire in (b"", b"x", b"\xff" * 600, response.to_wire()):
            sock.send(wire)
        sock.send(b"\x12\x34\x01\x00\x00\x01" + bytes(6) + b"\x3fxx")
        assert sock.recv(512)[:4] == b"\x12\x34\x81\x81"
    assert client.udp("web.").rcode() == dns.rcode.NOERROR
    assert client.forwarder.counters().malformed == 5


def framed(query):
    return len(query).to_bytes(2, "big") + query


def test_one_tcp_connection_carries_many_questions_and_answers_survive_its_half_close(forward, cluster):
    cluster.script[FULL] = [("A", "10.96.0.7")]
    client = forward([cluster.nameserver])
    queries = [dns.message.make_query(FULL, "A", id=number).to_wire() for number in range(40)]
    with client.connect() as sock, sock.makefile("rb") as answers:
        sock.sendall(b"".join(map(framed, queries)))
        sock.shutdown(socket.SHUT_WR)
        seen = set()
        while size := answers.read(2):
            seen.add(int.from_bytes(answers.read(int.from_bytes(size, "big"))[:2], "big"))
    assert seen == set(range(40))


def test_a_broken_frame_ends_only_its_connection(forward, cluster):
    cluster.script[FULL] = [("A", "10.96.0.7")]
    client = forward([cluster.nameserver])
    with client.connect() as sock:
        sock.sendall(b"\0\0")
        assert sock.recv(1) == b""
    with client.connect() as sock:
        sock.sendall(b"\xff\xffxx")
        sock.shutdown(socket.SHUT_WR)
        assert sock.recv(1) == b""
    assert client.tcp("web.").rcode() == dns.rcode.NOERROR


def test_too_many_connections_are_closed_and_the_rest_served(forward, cluster):
    cluster.script[FULL] = [("A", "10.96.0.7")]
    client = forward([cluster.nameserver])
    held = []
    query = framed(dns.message.make_query(FULL, "A").to_wire())
    try:
        for _ in range(MAX_CONNECTIONS):
            held.append(client.connect())
            held[-1].sendall(query)
            assert held[-1].recv(2)
        with client.connect() as one_more:
            assert one_more.recv(1) == b""
    finally:
        for sock in held:
            sock.close()


def test_more_questions_than_it_can_hold_are_turned_away_at_once(forward, cluster):
    hold = threading.Event()
    cluster.script["held.orders.svc.cluster.local."] = lambda wire: hold.wait(WAIT_S) and None
    client = forward([cluster.nameserver], patience=PATIENT)
    counters = client.forwarder.counters
    query = dns.message.make_query("held.orders.svc.cluster.local.", "A").to_wire()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(WAIT_S)
        sock.connect((client.host, client.port))
        for sent in range(MAX_WAITING + 1):
            sock.send(query)
            if sent % 32 == 0:  # so that no datagram is lost in a full socket buffer
                assert client.udp("www.example.com.").rcode() in (dns.rcode.REFUSED, dns.rcode.SERVFAIL)
        assert sock.recv(512)[3] & 0xF == dns.rcode.SERVFAIL
    hold.set()
    assert counters().overload >= 1


def test_a_new_plan_is_followed_from_the_next_question_on(forward, make_server):
    before, after = make_server(), make_server()
    after.script[FULL] = [("A", "10.96.0.8")]
    client = forward([before.nameserver])
    assert client.udp("web.").rcode() == dns.rcode.NXDOMAIN
    client.forwarder.adopt(ForwarderPlan((after.nameserver,), "cluster.local", "orders"))
    assert client.udp("web.").answer[0].to_text() == "web. 17 IN A 10.96.0.8"


def test_it_never_asks_itself(sockets):
    udp, tcp = sockets()
    own = Nameserver(ip_address("127.0.0.1"), tcp.getsockname()[1])
    forwarder = Forwarder(ForwarderPlan((own,), "cluster.local", "orders", upstream=(own,)), [udp], [tcp])
    client = Client(forwarder, "127.0.0.1", own.port)
    forwarder.start()
    try:
        assert client.udp("www.example.com.").rcode() == dns.rcode.REFUSED
        assert client.udp(FULL).rcode() == dns.rcode.SERVFAIL
        assert forwarder.counters().queries == 2
    finally:
        forwarder.stop()


def test_stop_closes_the_sockets_and_may_be_repeated(forward, cluster):
    client = forward([cluster.nameserver])
    client.forwarder.stop()
    client.forwarder.stop()
    with pytest.raises(ConnectionRefusedError):
        client.connect()


def test_stop_without_start_closes_the_sockets(sockets):
    udp, tcp = sockets()
    Forwarder(ForwarderPlan((), "cluster.local", "orders"), [udp], [tcp]).stop()
    assert (udp.fileno(), tcp.fileno()) == (-1, -1)


def test_sockets_that_cannot_be_served_are_a_clear_error(sockets):
    udp, tcp = sockets()
    forwarder = Forwarder(ForwarderPlan((), "cluster.local", "orders"), [udp], [udp])
    with pytest.raises(EnvironmentFaultError, match="DNS forwarder cannot serve its sockets"):
        forwarder.start()
    forwarder.stop()
    tcp.close()
