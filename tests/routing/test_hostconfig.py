import json
from ipaddress import ip_address, ip_interface, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kttun.config import DnsMode
from kttun.errors import UsageError
from kttun.routing.hostconfig import MAX_ROUTES, HostConfig, OffloadWish
from kttun.routing.invalid import InvalidValueError
from kttun.routing.names import plan_names

FULL = HostConfig(
    session="dev",
    tun_mtu=1450,
    tun_name="kttun7",
    offloads=OffloadWish.TCP,
    addresses=(ip_interface("10.99.0.1/32"), ip_interface("fd99::1/128")),
    routes=(ip_network("10.96.0.0/12"), ip_network("fd00::/108"), ip_network("0.0.0.0/0")),
    throws=(ip_network("10.96.0.1/32"),),
    resolver=plan_names("dev", "cluster.local", (ip_address("10.99.0.1"),), DnsMode.RESOLVED),
    dns_listen=(ip_address("10.99.0.1"),),
    control_socket=True,
)


def broken(**changes):
    return {**FULL.to_json(), **changes}


def test_a_configuration_survives_its_json():
    assert HostConfig.from_json(json.loads(json.dumps(FULL.to_json()))) == FULL


def test_the_smallest_configuration_survives_its_json():
    small = HostConfig(session="a", tun_mtu=1280)
    assert HostConfig.from_json(small.to_json()) == small


@pytest.mark.parametrize(
    "changes",
    [
        {"session": "../etc"},
        {"session": ""},
        {"session": ".hidden"},
        {"session": "a" * 64},
        {"session": "a\nb"},
        {"session": None},
        {"tun_name": "a/b"},
        {"tun_name": ".."},
        {"tun_name": "kttun%d"},
        {"tun_name": "sixteen-letters-"},
        {"tun_name": 7},
        {"tun_mtu": 1279},
        {"tun_mtu": 65_536},
        {"tun_mtu": True},
        {"tun_mtu": 1400.0},
        {"tun_mtu": "1400"},
        {"offloads": "some"},
        {"addresses": ["127.0.0.1/8"]},
        {"addresses": ["224.0.0.1/32"]},
        {"addresses": ["0.0.0.0/32"]},
        {"addresses": ["::1/128"]},
        {"addresses": ["fe80::1/64"]},
        {"addresses": ["fd99::1%eth0/128"]},
        {"addresses": ["10.99.0.1"]},
        {"addresses": ["10.99.0.1/32", "10.99.0.1/24", "fd99::1/128"]},
        {"addresses": ["10.99.0.1/32"] * 9},
        {"addresses": "10.99.0.1/32"},
        {"routes": ["10.96.0.1/12"]},
        {"routes": ["10.96.0.0"]},
        {"routes": ["10.96.0.0/255.240.0.0"]},
        {"routes": ["FD00::/108"]},
        {"routes": [1]},
        {"routes": [None]},
        {"routes": {"10.96.0.0/12": 1}},
        {"routes": ["127.0.0.0/8"]},
        {"routes": ["224.0.0.0/8"]},
        {"routes": ["169.254.0.0/16"]},
        {"routes": ["169.254.20.8/30"]},
        {"routes": ["169.254.169.254/32"]},
        {"routes": ["169.254.170.23/32"]},
        {"routes": ["fe80::a/128"]},
        {"routes": ["10.0.0.0/8", "10.0.0.0/8"]},
        {"throws": ["10.96.0.0/12"]},
        {"addresses": ["10.99.0.1/32"]},
        {"dns_listen": ["10.99.0.2"]},
        {"dns_listen": ["10.99.0.1", "10.99.0.1"]},
        {"dns_listen": ["0.0.0.0"]},
        {"resolver": {}},
        {"resolver": []},
        {"resolver": {**FULL.to_json()["resolver"], "nameservers": ["8.8.8.8"]}},
        {"resolver": {**FULL.to_json()["resolver"], "nameservers": []}},
        {"resolver": {**FULL.to_json()["resolver"], "search": ["a b"]}},
        {"resolver": {**FULL.to_json()["resolver"], "search": ["a\noptions debug"]}},
        {"resolver": {**FULL.to_json()["resolver"], "search": ["a"] * 33}},
        {"resolver": {**FULL.to_json()["resolver"], "routing_domains": ["--help"]}},
        {"resolver": {**FULL.to_json()["resolver"], "mode": "off"}},
        {"resolver": {**FULL.to_json()["resolver"], "extra": 1}},
        {"control_socket": 1},
        {"unknown": 1},
    ],
)
def test_a_hostile_value_is_refused_with_one_clear_line(changes):
    with pytest.raises(UsageError) as caught:
        HostConfig.from_json(broken(**changes))
    assert isinstance(caught.value, ValueError)
    assert "\n" not in caught.value.message
    assert not caught.value.message.endswith(".")
    assert len(caught.value.message) < 300


def test_an_address_with_a_zone_is_refused():
    with pytest.raises(ValueError, match="zone"):
        HostConfig(session="a", tun_mtu=1400, addresses=(ip_interface("fd99::1%eth0/128"),))


def test_a_missing_key_is_named():
    document = FULL.to_json()
    del document["throws"]
    with pytest.raises(ValueError, match="throws"):
        HostConfig.from_json(document)


def test_a_million_routes_are_refused_before_any_is_parsed():
    with pytest.raises(ValueError, match="1000000"):
        HostConfig.from_json(broken(routes=["not even parsed"] * 1_000_000))


def test_routes_and_throws_together_are_bounded():
    every = [ip_network((n << 8, 24)) for n in range(0x0A0000, 0x0A0000 + MAX_ROUTES + 1)]
    with pytest.raises(ValueError, match="20001"):
        HostConfig(session="a", tun_mtu=1400, routes=tuple(every[:10]), throws=tuple(every[10:]))


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["10.0.0.0/8", "::/0", "a"]),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(anything | st.fixed_dictionaries({}, optional=dict.fromkeys(FULL.to_json(), anything)))
def test_any_document_is_read_or_refused(document):
    refused_or_equal(document)


@given(st.sampled_from(sorted(FULL.to_json())), anything)
def test_any_value_of_any_key_is_read_or_refused(key, value):
    refused_or_equal(broken(**{key: value}))


@given(st.sampled_from(sorted(FULL.to_json()["resolver"])), anything)
def test_any_value_of_any_resolver_key_is_read_or_refused(key, value):
    refused_or_equal(broken(resolver={**FULL.to_json()["resolver"], key: value}))


def refused_or_equal(document):
    try:
        config = HostConfig.from_json(document)
    except InvalidValueError:
        return
    assert config.to_json() == document
