"""Which networks a sandbox takes."""

from ipaddress import IPv4Network

import pytest

from kttun.errors import EnvironmentFaultError, UsageError
from kttun.sandbox.settings import Settings
from kttun.sandbox.shape import CANDIDATES, Shape, choose

EVERYTHING = [IPv4Network("0.0.0.0/1"), IPv4Network("128.0.0.0/1")]


def test_the_first_networks_are_taken_that_this_machine_does_not_have():
    assert choose([]) == CANDIDATES[0]
    assert choose([CANDIDATES[0].pod_cidr]) == CANDIDATES[1]


def test_a_named_network_takes_the_place_of_its_own():
    named = IPv4Network("10.244.0.0/16")
    assert choose([], pod_cidr=named).pod_cidr == named


@pytest.mark.parametrize(
    "named", [{"node_net": "10.0.0.0/31"}, {"pod_cidr": "10.0.0.0/28"}, {"service_cidr": "10.0.0.0/29"}]
)
def test_a_network_must_hold_what_is_put_into_it(named):
    with pytest.raises(UsageError, match="too small"):
        choose([], **{name: IPv4Network(text) for name, text in named.items()})


def test_nothing_free_is_said_so():
    with pytest.raises(EnvironmentFaultError, match="overlap"):
        choose(EVERYTHING)


def test_no_candidate_overlaps_with_where_sessions_get_their_addresses():
    sessions = IPv4Network("198.18.0.0/15")
    networks = [net for each in CANDIDATES for net in (each.node_net, each.pod_cidr, each.service_cidr)]
    assert not [net for net in networks if net.overlaps(sessions)]


def test_addresses_stand_where_they_are_looked_for():
    shape = Shape(*map(IPv4Network, ("172.30.0.0/24", "10.244.0.0/16", "10.96.0.0/16")))
    found = (shape.machine, shape.node, shape.pods, shape.gateway, shape.api_service, shape.dns_service)
    assert list(map(str, found)) == [
        "172.30.0.1",
        "172.30.0.2",
        "10.244.0.0/24",
        "10.244.0.1",
        "10.96.0.1",
        "10.96.0.10",
    ]


def test_settings_travel_as_text():
    settings = Settings(CANDIDATES[1], {"demo:1": ("sleep", "9")}, examples=False, uid=7, gid=8)
    assert Settings.from_json(settings.to_json()) == settings
