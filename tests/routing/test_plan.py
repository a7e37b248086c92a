import json
from ipaddress import IPv4Address, IPv4Network, IPv6Network, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kttun.config import RouteChoice
from kttun.routing.plan import (
    ALWAYS_PROTECTED,
    ConnectedNetwork,
    ExcludedRoute,
    ExistingRoute,
    PlannedRoute,
    RouteRequest,
    plan_routes,
)


def nets(*cidrs):
    return tuple(ip_network(cidr) for cidr in cidrs)


def request(
    *, include=(), exclude=(), service=(), pod=(), discovered=(), protected=(), connected=(), existing=(), dns=()
):
    return RouteRequest(
        cluster_dns=nets(*dns),
        choice=RouteChoice(nets(*include), nets(*exclude), nets(*service), nets(*pod)),
        discovered=tuple(PlannedRoute(ip_network(c), s) for c, s in discovered),
        protected=tuple(ExcludedRoute(ip_network(c), r) for c, r in protected),
        connected=tuple(ConnectedNetwork(ip_network(c), d) for c, d in connected),
        existing=tuple(ExistingRoute(ip_network(c), d, o) for c, d, o in existing),
    )


def shown(**voices):
    document = plan_routes(request(**voices)).to_json()
    return {
        "tunnel": [f"{entry['cidr']} {entry['source']}" for entry in document["tunnel"]],
        "excluded": [f"{entry['cidr']} {entry['reason']}" for entry in document["excluded"]],
        "conflicts": [f"{entry['cidr']} {entry['device']} {entry['owner']}" for entry in document["conflicts"]],
    }


# --- the weights, one by one ---------------------------------------------------------------------------------------


def test_an_exclusion_inside_a_network_is_a_throw():
    plan = plan_routes(request(discovered=[("10.96.0.0/12", "ServiceCIDR")], exclude=["10.96.1.0/24"]))
    assert plan.routes == nets("10.96.0.0/12")
    assert plan.throws == nets("10.96.1.0/24")


def test_a_network_inside_an_exclusion_is_dropped_and_the_exclusion_is_shown():
    assert shown(discovered=[("10.96.0.0/12", "ServiceCIDR")], exclude=["10.0.0.0/8"]) == {
        "tunnel": [],
        "excluded": ["10.0.0.0/8 --exclude"],
        "conflicts": [],
    }


def test_a_network_covered_by_several_exclusions_together_is_dropped():
    plan = plan_routes(request(include=["10.0.0.0/24"], exclude=["10.0.0.0/25", "10.0.0.128/25"]))
    assert plan.routes == ()
    assert plan.throws == ()


def test_exclude_wins_over_include_of_the_same_network():
    assert shown(include=["10.1.0.0/16"], exclude=["10.1.0.0/16"])["tunnel"] == []


def test_a_protected_address_stays_out_of_what_the_user_included():
    plan = plan_routes(request(include=["203.0.113.0/24"], protected=[("203.0.113.7/32", "API server")]))
    assert plan.throws == nets("203.0.113.7/32")
    assert plan.excluded[0].reason == "API server"


def test_a_connected_network_wins_over_discovery_and_is_a_conflict():
    assert shown(discovered=[("10.0.0.0/8", "pod CIDR")], connected=[("10.1.0.0/16", "docker0")]) == {
        "tunnel": ["10.0.0.0/8 pod CIDR"],
        "excluded": ["10.1.0.0/16 connected network of docker0"],
        "conflicts": ["10.1.0.0/16 docker0 connected network"],
    }


def test_an_include_wins_over_a_connected_network_and_is_a_conflict():
    assert shown(include=["10.1.0.0/16"], connected=[("10.1.0.0/16", "docker0")]) == {
        "tunnel": ["10.1.0.0/16 --include"],
        "excluded": [],
        "conflicts": ["10.1.0.0/16 docker0 connected network"],
    }


def test_a_connected_network_is_cut_around_what_was_included_of_it():
    plan = plan_routes(
        request(discovered=[("10.0.0.0/8", "pod CIDR")], include=["10.1.0.0/17"], connected=[("10.1.0.0/16", "eth0")])
    )
    assert [str(route.cidr) for route in plan.tunnel] == ["10.0.0.0/8", "10.1.0.0/17"]
    assert plan.routes == nets("10.0.0.0/8")
    assert plan.throws == nets("10.1.128.0/17")


def test_service_and_pod_networks_of_the_user_weigh_as_discovery():
    got = shown(service=["10.96.0.0/12"], pod=["10.244.0.0/16"], connected=[("10.244.0.0/16", "eth0")])
    assert got["tunnel"] == ["10.96.0.0/12 --service-cidr"]


def test_everything_of_both_families_can_be_included():
    plan = plan_routes(
        request(
            include=["0.0.0.0/0", "::/0"],
            protected=[("203.0.113.7/32", "API server"), ("2001:db8::7/128", "API server")],
            connected=[("192.168.1.0/24", "wlan0"), ("2001:db8:1::/64", "wlan0")],
            existing=[("0.0.0.0/0", "wlan0", "local network")],
        )
    )
    assert plan.routes == nets("0.0.0.0/0", "::/0")
    assert set(nets("203.0.113.7/32", "2001:db8::7/128", "192.168.1.0/24", "2001:db8:1::/64")) <= set(plan.throws)
    assert {route.cidr for route in ALWAYS_PROTECTED} <= set(plan.throws)
    assert plan.conflicts == ()


def test_metadata_stays_out_even_when_the_user_asks_for_it():
    assert shown(include=["169.254.169.254/32"])["tunnel"] == []


# --- what is said about the machine -----------------------------------------------------------------------------------


def test_an_existing_route_is_named_with_its_owner_in_both_size_relations():
    got = shown(
        include=["10.8.1.0/24", "172.16.0.0/12"],
        existing=[("10.8.0.0/16", "wg0", "WireGuard"), ("172.17.0.0/16", "docker0", "Docker")],
    )
    assert got["conflicts"] == ["10.8.0.0/16 wg0 WireGuard", "172.17.0.0/16 docker0 Docker"]


def test_an_excluded_conflict_is_no_conflict_any_more():
    voices = {"include": ["10.0.0.0/8"], "existing": [("10.8.0.0/16", "wg0", "WireGuard")]}
    assert shown(**voices)["conflicts"]
    assert shown(**voices, exclude=["10.8.0.0/16"])["conflicts"] == []


def test_a_connected_network_with_a_known_owner_is_one_conflict():
    got = shown(
        include=["172.17.0.0/16"],
        connected=[("172.17.0.0/16", "docker0")],
        existing=[("172.17.0.0/16", "docker0", "Docker")],
    )
    assert got["conflicts"] == ["172.17.0.0/16 docker0 Docker"]


def test_a_default_route_is_nobodys_network():
    assert shown(include=["10.0.0.0/8"], existing=[("0.0.0.0/0", "eth0", "local network")])["conflicts"] == []


# --- form -----------------------------------------------------------------------------------------------------------


def test_nested_networks_of_one_source_collapse_and_those_of_two_stay():
    got = shown(discovered=[("10.0.0.0/8", "a"), ("10.1.0.0/16", "a"), ("10.2.0.0/16", "b"), ("10.0.0.0/8", "b")])
    assert got["tunnel"] == ["10.0.0.0/8 a", "10.2.0.0/16 b"]


def test_an_exclusion_without_effect_is_shown_only_when_the_user_named_it():
    got = shown(include=["10.0.0.0/8"], exclude=["192.168.0.0/16"], protected=[("203.0.113.7/32", "API server")])
    assert got["excluded"] == ["192.168.0.0/16 --exclude"]


def test_the_document_is_json_with_its_schema():
    document = json.loads(json.dumps(plan_routes(request(include=["10.0.0.0/8"])).to_json()))
    assert document == {
        "schema": 1,
        "tunnel": [{"cidr": "10.0.0.0/8", "source": "--include"}],
        "excluded": [],
        "conflicts": [],
    }


# --- for all --------------------------------------------------------------------------------------------------------


@st.composite
def cidrs(draw):
    """Networks that often nest and meet: few high bits differ, any prefix length."""
    if draw(st.booleans()):
        bits, kind = 32, IPv4Network
        base = draw(st.sampled_from([0x0A000000, 0x0A010000, 0xC0A80100, 0xA9FE0000, 0x7F000000, 0]))
    else:
        bits, kind = 128, IPv6Network
        base = draw(st.sampled_from([0xFD << 120, 0x20010DB8 << 96, 0xFE80 << 112, 0]))
    prefixlen = draw(st.one_of(st.integers(0, bits), st.sampled_from([0, 8, 16, 24, 28, 31, bits])))
    return kind((base | draw(st.integers(0, (1 << 18) - 1)), prefixlen), strict=False)


def many(size=6):
    return st.lists(cidrs(), max_size=size).map(tuple)


@st.composite
def requests(draw):
    names = st.sampled_from(["a", "b"])
    return RouteRequest(
        choice=RouteChoice(draw(many()), draw(many()), draw(many(3)), draw(many(3))),
        discovered=tuple(PlannedRoute(c, draw(names)) for c in draw(many())),
        protected=tuple(ExcludedRoute(c, draw(names)) for c in draw(many())),
        connected=tuple(ConnectedNetwork(c, draw(names)) for c in draw(many())),
        existing=tuple(ExistingRoute(c, draw(names), "x") for c in draw(many())),
    )


def inside(address, networks):
    return any(address in network for network in networks)


def wanted(address, r):
    """The rule of the weights, written as a person would say it."""
    if inside(address, r.choice.exclude):
        return False
    if inside(address, [p.cidr for p in (*r.protected, *ALWAYS_PROTECTED)]):
        return False
    if inside(address, [c for c in r.choice.include if c.prefixlen]):
        return True
    if inside(address, [c.cidr for c in r.connected]):
        return False
    discovered = [d.cidr for d in r.discovered]
    return inside(address, [*r.choice.include, *r.choice.service_cidrs, *r.choice.pod_cidrs, *discovered])


def edges(r):
    """First and last addresses of each network named, and their neighbours: all places where an answer can change."""
    named = [*r.choice.include, *r.choice.exclude, *r.choice.service_cidrs, *r.choice.pod_cidrs]
    named += [x.cidr for x in (*r.discovered, *r.protected, *r.connected, *ALWAYS_PROTECTED)]
    for network in named:
        kind = IPv4Address if network.version == 4 else type(network.network_address)
        first, last = int(network.network_address), int(network.broadcast_address)
        top = (1 << network.max_prefixlen) - 1
        yield from (kind(n) for n in (first - 1, first, (first + last) // 2, last, last + 1) if 0 <= n <= top)


def enters(address, plan):
    """As plan.to_json documents it."""
    return inside(address, [t.cidr for t in plan.tunnel]) and not inside(address, [e.cidr for e in plan.excluded])


def routed(address, plan):
    """As the kernel decides: the longest prefix of routes and throws."""
    best = max(
        ((c.prefixlen, kind) for kind, found in ((1, plan.routes), (0, plan.throws)) for c in found if address in c),
        default=(0, 0),
    )
    return best[1] == 1


@given(requests(), st.integers(0, (1 << 32) - 1))
def test_exactly_what_the_weights_say_enters_the_tunnel(r, somewhere):
    plan = plan_routes(r)
    for address in (*edges(r), ip_address(somewhere)):
        assert enters(address, plan) == wanted(address, r), address
        assert routed(address, plan) == enters(address, plan), address


@given(requests())
def test_a_plan_is_canonical(r):
    plan = plan_routes(r)
    assert not set(plan.routes) & {e.cidr for e in plan.excluded}
    for found in ([t.cidr for t in plan.tunnel], [e.cidr for e in plan.excluded]):
        assert len(found) == len(set(found))
        assert found == sorted(found, key=lambda c: (c.version, int(c.network_address), c.prefixlen))
    assert plan_routes(r) == plan


@given(requests())
def test_every_conflict_overlaps_with_something_asked_for(r):
    asked = [*r.choice.include, *r.choice.service_cidrs, *r.choice.pod_cidrs, *(d.cidr for d in r.discovered)]
    for conflict in plan_routes(r).conflicts:
        assert any(conflict.cidr.version == a.version and conflict.cidr.overlaps(a) for a in asked)


def test_twenty_thousand_addresses_are_planned_together():
    discovered = [(f"10.{n >> 8 & 255}.{n & 255}.1/32", "Pod") for n in range(20_000)]
    plan = plan_routes(request(discovered=discovered, connected=[("10.0.0.0/24", "eth0")], exclude=["10.1.0.0/16"]))
    assert len(plan.tunnel) == 20_000 - 1 - 256


@pytest.mark.parametrize(
    ("cidr", "taken"),
    [
        ("10.96.0.10/32", True),
        ("10.96.0.0/12", False),  # a part of it stays out
        ("10.97.0.0/16", True),
        ("10.96.1.1/32", False),
        ("10.0.0.0/8", False),
        ("fd00::1/128", False),
    ],
)
def test_a_network_is_taken_when_all_of_it_enters_the_tunnel(cidr, taken):
    plan = plan_routes(request(service=["10.96.0.0/12"], exclude=["10.96.1.0/24"]))
    assert plan.takes(ip_network(cidr)) is taken


def test_the_clusters_dns_is_routed_where_nothing_else_routes_it():
    assert shown(service=["10.96.0.0/12"], dns=["10.96.0.10/32"])["tunnel"] == ["10.96.0.0/12 --service-cidr"]
    assert shown(service=["10.97.1.1/32"], dns=["10.96.0.10/32"])["tunnel"] == [
        "10.96.0.10/32 DNS server of the cluster",
        "10.97.1.1/32 --service-cidr",
    ]


def test_a_dns_cache_of_the_nodes_is_taken_out_of_what_is_protected_and_nothing_else():
    plan = plan_routes(request(include=["0.0.0.0/0"], dns=["169.254.20.10/32"]))
    assert plan.takes(ip_network("169.254.20.10/32"))
    for address in ("169.254.20.9", "169.254.20.11", "169.254.169.254", "169.254.170.2"):
        assert not plan.takes(ip_network(address))
    alone = plan_routes(request(dns=["169.254.20.10/32"]))
    assert (alone.routes, alone.throws, alone.excluded) == (nets("169.254.20.10/32"), (), ())


@pytest.mark.parametrize(
    "server", ["169.254.169.254/32", "169.254.170.2/32", "fe80::a/128", "fd00:ec2::254/128", "127.0.0.1/32"]
)
def test_a_dns_server_that_means_this_machine_or_its_identity_is_never_routed(server):
    assert plan_routes(request(dns=[server])).tunnel == ()


@pytest.mark.parametrize(
    "kept_out", [{"exclude": ["169.254.0.0/16"]}, {"protected": [("169.254.20.10/32", "DNS server")]}]
)
def test_who_keeps_the_dns_cache_out_is_heard(kept_out):
    assert plan_routes(request(dns=["169.254.20.10/32"], **kept_out)).tunnel == ()
