"""Asking servers: over real sockets on loopback, with servers that behave badly on purpose."""

import asyncio
import socket
from ipaddress import ip_address

import dns.message
import dns.rcode
import pytest

from kttun.names.plan import Nameserver
from kttun.names.rewrite import with_id
from kttun.names.upstreams import Patience, ask

QUERY = dns.message.make_query("web.orders.svc.cluster.local.", "A", id=0x1234).to_wire()
NAME = "web.orders.svc.cluster.local."
PATIENT = Patience(attempt_s=10, total_s=10)
SHORT = Patience(attempt_s=0.05, total_s=0.1)


def asked(*servers, stream=False, patience=PATIENT, query=QUERY):
    answer = asyncio.run(ask(servers, query, stream=stream, patience=patience))
    return None if answer is None else dns.message.from_wire(answer)


@pytest.fixture
def nobody():
    """An address and port where nobody listens."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    return Nameserver(ip_address("127.0.0.1"), port)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_the_answer_comes_back_with_the_clients_id(make_server, host, stream):
    server = make_server(host)
    server.script[NAME] = [("A", "10.96.0.7")]
    answer = asked(server.nameserver, stream=stream)
    assert answer.id == 0x1234
    assert answer.answer[0].to_text() == f"{NAME} 17 IN A 10.96.0.7"
    assert bool(server.tcp_asked) is stream


def test_ids_and_source_ports_differ_from_question_to_question(cluster):
    cluster.script[NAME] = [("A", "10.96.0.7")]
    for _ in range(8):
        asked(cluster.nameserver)
    assert len({wire[:2] for wire in cluster.asked}) > 1
    assert len({source[1] for source in cluster.sources}) > 1


@pytest.mark.parametrize("stream", [False, True])
def test_a_server_is_asked_from_the_source_that_it_names(cluster, stream):
    cluster.script[NAME] = [("A", "10.96.0.7")]
    server = Nameserver(cluster.nameserver.address, cluster.nameserver.port, ip_address("127.0.0.9"))
    assert asked(server, stream=stream).rcode() == dns.rcode.NOERROR
    assert [source[0] for source in cluster.sources] == ["127.0.0.9"]


def test_a_forged_id_and_a_foreign_question_are_passed_over(cluster):
    def forge_then_answer(wire):
        query = dns.message.from_wire(wire)
        good = dns.message.make_response(query).to_wire()
        other = dns.message.make_response(dns.message.make_query("evil.", "A", id=query.id)).to_wire()
        return [b"x", with_id(good, query.id ^ 1), other, good]

    cluster.script[NAME] = forge_then_answer
    assert asked(cluster.nameserver).question[0].name.to_text() == NAME


def test_an_answer_from_somebody_else_does_not_arrive(make_server):
    silent, stranger = make_server(), make_server()

    def stranger_answers(wire):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.sendto(dns.message.make_response(dns.message.from_wire(wire)).to_wire(), silent.sources[-1])

    silent.script[NAME] = stranger_answers
    stranger.script[NAME] = [("A", "10.0.0.1")]
    assert asked(silent.nameserver, patience=SHORT) is None


@pytest.mark.parametrize("stream", [False, True])
def test_the_next_server_is_asked_when_one_is_gone(cluster, nobody, stream):
    cluster.script[NAME] = [("A", "10.96.0.7")]
    assert asked(nobody, cluster.nameserver, stream=stream).rcode() == dns.rcode.NOERROR


@pytest.mark.parametrize("rcode", [dns.rcode.SERVFAIL, dns.rcode.REFUSED])
def test_the_next_server_is_asked_when_one_cannot(make_server, rcode):
    lame, good = make_server(), make_server()
    lame.script[NAME] = rcode
    good.script[NAME] = [("A", "10.96.0.7")]
    assert asked(lame.nameserver, good.nameserver).rcode() == dns.rcode.NOERROR
    assert asked(lame.nameserver).rcode() == rcode


def test_no_such_name_is_an_answer_and_nobody_else_is_asked(make_server):
    first, second = make_server(), make_server()
    assert asked(first.nameserver, second.nameserver).rcode() == dns.rcode.NXDOMAIN
    assert second.asked == []


def test_a_lost_datagram_is_asked_again(cluster):
    lost = iter([True])

    def lose_the_first(wire):
        return None if next(lost, False) else dns.message.make_response(dns.message.from_wire(wire)).to_wire()

    cluster.script[NAME] = lose_the_first
    assert asked(cluster.nameserver, patience=Patience(0.2, 10)).rcode() == dns.rcode.NOERROR
    assert len(cluster.asked) >= 2


@pytest.mark.parametrize("stream", [False, True])
def test_silence_everywhere_ends_with_nothing(cluster, nobody, stream):
    cluster.script[NAME] = lambda wire: None
    assert asked(cluster.nameserver, nobody, stream=stream, patience=SHORT) is None
    assert asked() is None


def test_a_broken_answer_by_tcp_is_none(cluster):
    cluster.script[NAME] = lambda wire: b"junk"
    assert asked(cluster.nameserver, stream=True) is None
