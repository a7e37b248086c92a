"""Names of a session: the cluster's domain from the gateway's search list, and what is planned and answered."""

import socket
from ipaddress import ip_address, ip_network

import dns.message
import dns.rcode
import pytest

from kttun.commands.names import USUAL_DOMAIN, Names, cluster_domain, dns_servers
from kttun.config import DnsMode
from kttun.host.client import DnsSocket
from kttun.names.plan import Nameserver
from kttun.rendezvous import GatewayReport
from kttun.routing.plan import ExcludedRoute, PlannedRoute, RoutePlan

OWN = ip_address("198.18.0.1")
OWN6 = ip_address("fd6b::1")
PLAN = RoutePlan(tunnel=(PlannedRoute(ip_network("10.96.0.0/12"), "Services"),))
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
    names = Names(mode, "shop", report, PLAN)
    names.start([], [OWN], [])
    names.stop()
    assert names.plan is None
    assert names.text == "off"
    assert names.status() == {"mode": "off", "domains": []}


def started(report, plan=PLAN, mode=DnsMode.AUTO):
    """Names that were started without a socket to be asked on."""
    names = Names(mode, "shop", report, plan)
    names.start([], [OWN, OWN6], [])
    names.stop()
    return names


def test_what_is_no_address_among_servers_is_left_out():
    report = GatewayReport("1", 0, nameservers=("10.96.0.10", "localhost", "fd00::a"), search=SEARCH)
    asked = started(report)._forwarding.cluster_dns
    assert [server.address for server in asked] == [ip_address("10.96.0.10"), ip_address("fd00::a")]


def test_a_server_in_the_tunnel_is_asked_from_our_own_address_and_another_as_anybody_would():
    """A question without a source would go with the session that began last."""
    plan = RoutePlan(
        tunnel=tuple(PlannedRoute(ip_network(cidr), "Services") for cidr in ("10.96.0.0/12", "fd00::/64")),
        excluded=(ExcludedRoute(ip_network("10.96.0.10/32"), "--exclude"),),
    )
    report = GatewayReport("1", 0, nameservers=("10.96.0.11", "fd00::a", "10.96.0.10"), search=SEARCH)
    asked = started(report, plan)._forwarding.cluster_dns
    assert [server.source for server in asked] == [OWN, OWN6, None]


def test_a_link_local_server_is_asked_only_where_it_enters_the_tunnel():
    """Elsewhere it is another machine: this one's own DNS cache, or its cloud's metadata."""
    report = GatewayReport("1", 0, nameservers=("169.254.20.10", "169.254.169.254"), search=SEARCH)
    names = started(report, RoutePlan(tunnel=(PlannedRoute(ip_network("169.254.20.10/32"), "DNS"),)))
    (server,) = names._forwarding.cluster_dns
    assert (server.address, server.source) == (ip_address("169.254.20.10"), OWN)
    assert names.out_of_reach == (ip_address("169.254.169.254"),)


def test_without_any_server_in_reach_names_are_off():
    names = started(GatewayReport("1", 0, nameservers=("169.254.169.254",), search=SEARCH))
    assert (names.plan, names.text) == (None, "off")


@pytest.mark.parametrize(
    ("servers", "search", "found"),
    [
        (("10.96.0.10", "fd00::a"), SEARCH, ("10.96.0.10", "fd00::a")),
        (("fe80::1%eth0", "x", "10.96.0.10"), SEARCH, ("10.96.0.10",)),
        (("10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"), SEARCH, ("10.0.0.1", "10.0.0.2", "10.0.0.3")),
        (("8.8.8.8",), ("corp.example",), ()),  # a kubelet that knows no cluster DNS gives the node's
    ],
)
def test_the_clusters_servers_are_those_of_a_pod_that_resolves_services(servers, search, found):
    report = GatewayReport("1", 0, nameservers=servers, search=search)
    assert dns_servers(report) == tuple(map(ip_address, found))


def test_the_plan_is_the_search_list_of_a_pod_in_the_namespace():
    names = started(REPORT, mode=DnsMode.RESOLVED)
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
    names = Names(DnsMode.AUTO, "shop", REPORT, PLAN)
    names.start(sockets, [OWN, OWN6], [ip_address("192.0.2.53")])
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
    names = Names(DnsMode.AUTO, "shop", REPORT, PLAN)
    names.start(sockets, [OWN, OWN6], [])
    names.in_force("resolved")
    assert ask(address, "www.example.com").rcode() == dns.rcode.REFUSED
    names.stop()
    names.stop()


def test_a_resolver_that_took_no_notice_is_said_to_be_off():
    names = Names(DnsMode.AUTO, "shop", REPORT, PLAN)
    names.in_force(None)
    assert names.status()["mode"] == "off"
