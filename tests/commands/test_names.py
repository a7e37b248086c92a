"""Names of a session: the cluster's domain from the gateway's search list, and what is planned and answered."""

import socket
from ipaddress import ip_address, ip_network

import dns.message
import dns.rcode
import pytest

from kttun.commands.names import USUAL_DOMAIN, Names, cluster_domain
from kttun.config import DnsMode
from kttun.host.client import DnsSocket
from kttun.names.plan import Nameserver
from kttun.rendezvous import GatewayReport

OWN = ip_address("198.18.0.1")
SEARCH = ("shop.svc.cluster.local", "svc.cluster.local", "cluster.local", "corp.example")
REPORT = GatewayReport("1", 0, nameservers=("10.96.0.10",), search=SEARCH)


@pytest.mark.parametrize(
    ("search", "domain"),
    [
        (SEARCH, "cluster.local"),
        (("shop.svc.k8s.corp.example", "svc.k8s.corp.example", "k8s.corp.example"), "k8s.corp.example"),
        (("shop.svc.cluster.local.", "svc.cluster.local.", "cluster.local."), "cluster.local"),
        # A namespace that is called svc
        (("svc.svc.cluster.local", "svc.cluster.local", "cluster.local"), "cluster.local"),
        # A domain that begins with svc, alone and together with such a namespace
        (("shop.svc.svc.example", "svc.svc.example", "svc.example"), "svc.example"),
        (("svc.svc.svc.example", "svc.svc.example", "svc.example"), "svc.example"),
        # The node's own search list comes behind, whatever is in it
        ((*SEARCH, "corp.svc.test", "svc.test"), "cluster.local"),
        # Set by a person (dnsConfig)
        (("corp.example", "svc.cluster.local"), "cluster.local"),
        (("svc.", "svc"), USUAL_DOMAIN),
        ((), USUAL_DOMAIN),
        (("corp.example",), USUAL_DOMAIN),
    ],
)
def test_the_clusters_domain_stands_in_the_search_list(search, domain):
    assert cluster_domain(search) == domain


@pytest.mark.parametrize(
    ("mode", "report"),
    [
        (DnsMode.OFF, REPORT),
        (DnsMode.AUTO, GatewayReport("1", 0, search=SEARCH)),
        (DnsMode.AUTO, GatewayReport("1", 0, nameservers=("nonsense",), search=SEARCH)),
    ],
)
def test_without_a_wish_or_a_server_names_are_off(mode, report):
    names = Names(mode, "shop", report, OWN)
    names.start([], [], [])
    names.stop()
    assert names.plan is None
    assert names.text == "off"
    assert names.status() == {"mode": "off", "domains": []}


def test_what_is_no_address_among_servers_is_left_out():
    report = GatewayReport("1", 0, nameservers=("10.96.0.10", "localhost", "fd00::a"), search=SEARCH)
    assert Names(DnsMode.AUTO, "shop", report, OWN)._servers == (
        Nameserver(ip_address("10.96.0.10")),
        Nameserver(ip_address("fd00::a")),
    )


def test_the_plan_is_the_search_list_of_a_pod_in_the_namespace():
    names = Names(DnsMode.RESOLVED, "shop", REPORT, OWN)
    assert names.plan.nameservers == (OWN,)
    assert names.plan.search == SEARCH[:3]
    assert names.plan.mode is DnsMode.RESOLVED


@pytest.fixture
def sockets():
    """The helper's sockets, on loopback: one for UDP, one that listens for TCP."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp, socket.create_server(("127.0.0.1", 0)) as tcp:
        udp.bind(("127.0.0.1", 0))
        yield [DnsSocket(OWN, tcp=False, socket=udp), DnsSocket(OWN, tcp=True, socket=tcp)]


def ask(address, name):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(30)
        client.sendto(dns.message.make_query(name, "A").to_wire(), address)
        return dns.message.from_wire(client.recv(4096))


@pytest.mark.parametrize(("mode", "asks_the_hosts_servers"), [("resolvconf", True), ("resolved", False)])
def test_public_names_go_to_the_hosts_servers_unless_resolved_sends_us_cluster_names_only(
    sockets, mode, asks_the_hosts_servers
):
    names = Names(DnsMode.AUTO, "shop", REPORT, OWN)
    names.start(sockets, [ip_network("10.96.0.0/12")], [ip_address("192.0.2.53")])
    assert names._forwarder is not None
    adopted = []
    names._forwarder.adopt = adopted.append
    names.in_force(mode)
    assert [plan.upstream for plan in adopted] == ([] if asks_the_hosts_servers else [()])
    assert names._forwarding.upstream == (Nameserver(ip_address("192.0.2.53")),)
    assert names.status() == {"mode": mode, "domains": [*SEARCH[:3], "svc"]}
    assert names.text == f"{mode} sends cluster.local and its short names to us"
    names.stop()


def test_it_answers_on_the_helpers_sockets_until_it_is_stopped(sockets):
    address = sockets[0].socket.getsockname()
    names = Names(DnsMode.AUTO, "shop", REPORT, OWN)
    names.start(sockets, [ip_network("10.96.0.0/12")], [])
    names.in_force("resolved")
    assert ask(address, "www.example.com").rcode() == dns.rcode.REFUSED
    names.stop()
    names.stop()


def test_a_resolver_that_took_no_notice_is_said_to_be_off():
    names = Names(DnsMode.AUTO, "shop", REPORT, OWN)
    names.in_force(None)
    assert names.status()["mode"] == "off"
