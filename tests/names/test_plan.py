"""The rules: which names go where."""

from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

import dns.name
import dns.rdataclass
import dns.rdatatype
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kttun.errors import EnvironmentFaultError
from kttun.names.plan import ForwarderPlan, Nameserver, Question, Rules, Verdict, reverse_network

CLUSTER_DNS = Nameserver(ip_address("10.96.0.10"))
ROUTER = Nameserver(ip_address("192.168.1.1"))
NETWORKS = (ip_network("10.96.0.0/16"), ip_network("10.244.0.0/22"), ip_network("fd00:10:96::/112"))


def plan(**changes):
    values = {
        "cluster_dns": (CLUSTER_DNS,),
        "cluster_domain": "cluster.local",
        "namespace": "orders",
        "networks": NETWORKS,
    } | changes
    return ForwarderPlan(**values)


def decide(name, rdtype="A", rdclass="IN", **changes):
    question = Question(dns.name.from_text(name), dns.rdatatype.from_text(rdtype), dns.rdataclass.from_text(rdclass))
    decision = Rules(plan(**changes)).decide(question)
    return decision.verdict, decision.name.to_text()


def test_names_under_the_cluster_domain_go_to_the_cluster_as_they_are():
    for name in (
        "web.orders.svc.cluster.local.",
        "Web.Orders.SVC.Cluster.Local.",
        "cluster.local.",
        "x.custom.cluster.local.",
    ):
        assert decide(name) == (Verdict.CLUSTER, name)
        assert decide(name, "SRV", upstream=(ROUTER,)) == (Verdict.CLUSTER, name)


def test_a_name_that_only_ends_like_the_cluster_domain_does_not_go_there():
    assert decide("web.mycluster.local.")[0] is Verdict.REFUSED


@pytest.mark.parametrize(
    ("short", "full"),
    [
        ("web.other.svc.", "web.other.svc.cluster.local."),
        ("web.orders.svc.", "web.orders.svc.cluster.local."),
        ("db-0.db.other.svc.", "db-0.db.other.svc.cluster.local."),
        ("_http._tcp.web.other.svc.", "_http._tcp.web.other.svc.cluster.local."),
        ("web.orders.", "web.orders.svc.cluster.local."),
        ("db-0.db.orders.", "db-0.db.orders.svc.cluster.local."),
        ("WEB.Orders.", "WEB.Orders.svc.cluster.local."),
        ("web.", "web.orders.svc.cluster.local."),
        ("svc.", "svc.orders.svc.cluster.local."),
        ("orders.", "orders.orders.svc.cluster.local."),
    ],
)
def test_short_names_are_expanded(short, full):
    assert decide(short) == (Verdict.CLUSTER, full)


def test_another_namespace_needs_svc_behind_it():
    assert decide("web.other.")[0] is Verdict.REFUSED
    assert decide("web.other.", upstream=(ROUTER,))[0] is Verdict.UPSTREAM


@pytest.mark.parametrize("namespace", ["dev", "app", "prod", "qa", "DEV", "local"])
def test_a_namespace_named_like_a_top_level_domain_gets_no_names_of_it(namespace):
    assert decide(f"pkg.go.{namespace}.", namespace=namespace)[0] is Verdict.REFUSED
    assert decide(f"web.{namespace}.svc.", namespace=namespace)[0] is Verdict.CLUSTER


def test_a_single_label_is_tried_in_the_namespace_and_then_upstream():
    assert decide("nas.", upstream=(ROUTER,)) == (Verdict.CLUSTER_THEN_UPSTREAM, "nas.orders.svc.cluster.local.")


@pytest.mark.parametrize("rdtype", ["NS", "SOA", "DS", "DNSKEY"])
def test_what_validators_ask_of_top_level_domains_stays_away_from_the_cluster(rdtype):
    assert decide("com.", rdtype)[0] is Verdict.REFUSED
    assert decide("com.", rdtype, upstream=(ROUTER,))[0] is Verdict.UPSTREAM


@pytest.mark.parametrize(
    "name",
    [
        ".",
        "localhost.",
        "x.localhost.",
        "printer.local.",
        "local.",
        "wpad.",
        "wpad.corp.example.",
        "wpad.orders.",
        "wpad.other.svc.",
        "wpad.svc.",
    ],
)
def test_some_names_never_go_to_the_cluster(name):
    assert decide(name)[0] is Verdict.REFUSED
    assert decide(name, upstream=(ROUTER,))[0] is Verdict.UPSTREAM


@pytest.mark.parametrize("name", ["wpad.orders.svc.cluster.local.", "WPAD.cluster.local."])
def test_a_proxy_search_that_the_search_list_expanded_ends_here(name):
    assert decide(name)[0] is Verdict.NO_SUCH_NAME


@pytest.mark.parametrize(
    "name",
    [
        "www.example.com.orders.svc.cluster.local.",
        "docs.www.example.com.svc.cluster.local.",
        "www.example.com.cluster.local.",
        "example.CO.cluster.local.",
    ],
)
def test_what_a_search_list_leaves_of_a_public_name_ends_here(name):
    assert decide(name)[0] is Verdict.NO_SUCH_NAME


@pytest.mark.parametrize(
    "name",
    [
        "_http._tcp.db-0.web.orders.svc.cluster.local.",
        "_http._tcp.web.com.cluster.local.",
        "db-0.db.dev.svc.cluster.local.",
        "web.dev.svc.cluster.local.",
        "10-0-0-1.orders.pod.cluster.local.",
        "deep.name.of.a.custom.cluster.local.",
        "dev.cluster.local.",
    ],
)
def test_what_may_be_a_name_of_the_cluster_goes_there(name):
    assert decide(name) == (Verdict.CLUSTER, name)


def test_public_names_go_upstream_or_are_refused():
    for name in ("www.example.com.", "example.com.", "web.orders.example.com.", "a.b.c.orders.", "svc.example.com."):
        assert decide(name, upstream=(ROUTER,)) == (Verdict.UPSTREAM, name)
        assert decide(name) == (Verdict.REFUSED, name)


@pytest.mark.parametrize(
    ("name", "inside"),
    [
        ("1.0.96.10.in-addr.arpa.", True),
        ("96.10.in-addr.arpa.", True),
        ("10.in-addr.arpa.", False),
        ("5.3.244.10.in-addr.arpa.", True),
        ("5.4.244.10.in-addr.arpa.", False),
        ("1.1.168.192.in-addr.arpa.", False),
        ("in-addr.arpa.", False),
        ("0-25.0.96.10.in-addr.arpa.", False),
        ("001.0.96.10.in-addr.arpa.", False),
        ("1.1.0.96.10.in-addr.arpa.", False),
        (ip_address("fd00:10:96::a").reverse_pointer, True),
        (ip_address("fd00:10:97::a").reverse_pointer.upper(), False),
        ("ip6.arpa.", False),
        ("g." + "0." * 31 + "ip6.arpa.", False),
    ],
)
def test_reverse_names_go_to_the_cluster_only_when_their_zone_is_in_the_tunnel(name, inside):
    assert decide(name, "PTR")[0] is (Verdict.CLUSTER if inside else Verdict.REFUSED)


@given(st.one_of(st.ip_addresses(v=4, network="10.0.0.0/8"), st.ip_addresses(v=6)))
def test_an_address_and_its_reverse_name_agree(address):
    network = reverse_network(dns.name.from_text(address.reverse_pointer))
    assert network == ip_network(address)
    assert isinstance(network, IPv4Network if address.version == 4 else IPv6Network)


def test_a_forward_name_is_no_reverse_name():
    assert reverse_network(dns.name.from_text("web.orders.svc")) is None


def test_other_classes_and_zone_transfers_never_go_to_the_cluster():
    for rdtype, rdclass in (("TXT", "CH"), ("AXFR", "IN"), ("IXFR", "IN")):
        assert decide("web.orders.svc.cluster.local.", rdtype, rdclass)[0] is Verdict.REFUSED


def test_a_name_too_long_to_expand_does_not_exist():
    name = ".".join(["x" * 60] * 4) + ".svc."
    assert decide(name) == (Verdict.NO_SUCH_NAME, name)


@given(
    st.lists(st.binary(min_size=1, max_size=12), max_size=8),
    st.sampled_from(
        [[], [b"svc"], [b"orders"], [b"svc", b"cluster", b"local"], [b"in-addr", b"arpa"], [b"ip6", b"arpa"]]
    ),
    st.integers(0, 65_535),
)
def test_every_name_has_a_decision(labels, tail, rdtype):
    name = dns.name.Name([*labels, *tail, b""])
    decision = Rules(plan()).decide(Question(name, rdtype, dns.rdataclass.IN))
    if decision.verdict is Verdict.CLUSTER and decision.name != name:
        assert decision.name.is_subdomain(dns.name.from_text("cluster.local"))


@pytest.mark.parametrize(
    "changes", [{"cluster_domain": ""}, {"cluster_domain": "a..b"}, {"namespace": "x" * 64}, {"namespace": "."}]
)
def test_a_plan_of_no_dns_names_is_refused(changes):
    with pytest.raises(EnvironmentFaultError):
        plan(**changes)


def test_own_addresses_are_dropped_from_both_lists():
    own = Nameserver(ip_address("100.64.0.1"))
    elsewhere = Nameserver(own.address, 5353)
    left = plan(cluster_dns=(own, CLUSTER_DNS), upstream=(own, elsewhere)).without({(own.address, 53)})
    assert left.cluster_dns == (CLUSTER_DNS,)
    assert left.upstream == (elsewhere,)
