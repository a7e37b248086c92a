"""Inner addresses: whatever the session's id and the machine's routes, a free pair or a refusal."""

from ipaddress import IPv4Network, IPv6Network, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kttun.commands.inner import POOL4, POOL6, inner_addresses
from kttun.errors import RefusedError

ids = st.binary(min_size=16, max_size=16)
some4 = st.builds(
    lambda low, prefix: IPv4Network((int(POOL4[0]) + low, prefix), strict=False),
    st.integers(0, POOL4.num_addresses - 1),
    st.integers(18, 32),
)
some6 = st.builds(
    lambda low, prefix: IPv6Network((int(POOL6[0]) + low, prefix), strict=False),
    st.integers(0, POOL6.num_addresses - 1),
    st.integers(52, 128),
)


@given(ids)
def test_both_ends_are_the_two_hosts_of_one_small_network_in_the_pool(session_id):
    for pool, (laptop, gateway) in zip((POOL4, POOL6), inner_addresses(session_id, []), strict=True):
        assert laptop.network == gateway.network
        assert laptop.network.subnet_of(pool)
        assert laptop.network.num_addresses == 4
        assert int(laptop.ip) == int(laptop.network[0]) + 1
        assert int(gateway.ip) == int(laptop.network[0]) + 2


@given(ids, st.lists(some4, max_size=3), st.lists(some6, max_size=3))
def test_as_long_as_half_a_pool_is_free_a_pair_is_found_in_it(session_id, taken4, taken6):
    taken = taken4 + taken6
    for laptop, _ in inner_addresses(session_id, taken):
        assert not any(laptop.version == each.version and laptop.network.overlaps(each) for each in taken)


@given(ids)
def test_the_same_session_gets_the_same_addresses(session_id):
    assert inner_addresses(session_id, []) == inner_addresses(session_id, [])


def test_other_sessions_get_others():
    pairs = {inner_addresses(bytes([n]) * 16, []) for n in range(100)}
    assert len(pairs) == 100


@pytest.mark.parametrize(
    "taken", ["0.0.0.0/0", "::/0", "128.0.0.0/1", "192.0.0.0/4", "8000::/1", "fc00::/7", "fd00::/8"]
)
def test_a_default_route_takes_nothing_nor_do_the_parts_into_which_vpns_cut_one(taken):
    assert inner_addresses(bytes(16), [ip_network(taken)]) == inner_addresses(bytes(16), [])


@pytest.mark.parametrize("taken", ["198.18.0.0/15", "198.16.0.0/12", "fd6b:7474:756e::/48", "fd6b:7474:7568::/45"])
def test_a_machine_that_uses_the_whole_pool_is_refused(taken):
    with pytest.raises(RefusedError, match="no free addresses for the tunnel in ") as caught:
        inner_addresses(bytes(16), [ip_network(taken)])
    assert caught.value.hints
