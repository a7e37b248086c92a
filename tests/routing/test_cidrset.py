from ipaddress import ip_network

from hypothesis import given
from hypothesis import strategies as st

from kttun.routing.cidrset import CidrSet, contains, merge, subtract


def small_networks():
    """Networks of 10.0.0.0/24 and fd00::/120, small enough to be compared address by address."""
    four = st.builds(
        lambda a, p: ip_network((0x0A000000 + a, p), strict=False), st.integers(0, 255), st.integers(24, 32)
    )
    six = st.builds(
        lambda a, p: ip_network(((0xFD << 120) + a, p), strict=False), st.integers(0, 255), st.integers(120, 128)
    )
    return st.one_of(four, six)


def addresses(networks):
    return {address for network in networks for address in network}


@given(small_networks(), st.lists(small_networks()))
def test_subtract_leaves_exactly_the_addresses_outside_the_holes(network, holes):
    assert addresses(subtract(network, holes)) == set(network) - addresses(holes)


@given(st.lists(small_networks()))
def test_merge_keeps_the_addresses_and_never_has_more_blocks(networks):
    merged = merge(networks)
    assert addresses(merged) == addresses(networks)
    assert len(merged) <= len(set(networks))


@given(st.lists(small_networks()), small_networks())
def test_look_ups_agree_with_comparing_each_with_each(members, network):
    cidrs = CidrSet(members)
    around = sorted((m for m in members if contains(m, network)), key=lambda m: m.prefixlen)
    assert cidrs.outermost_around(network) == (around[0] if around else None)
    assert set(cidrs.inside(network)) == {m for m in members if contains(network, m)}
    assert cidrs.touches(network) == bool(addresses(members) & set(network))


def test_families_never_meet():
    assert not contains(ip_network("0.0.0.0/0"), ip_network("::/0"))
    assert not CidrSet([ip_network("0.0.0.0/0")]).touches(ip_network("::/0"))
