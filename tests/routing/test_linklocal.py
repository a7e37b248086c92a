"""The one link-local address that a tunnel may have, and those that give a machine's identity away."""

from ipaddress import ip_interface, ip_network

import pytest

from kttun.routing.hostconfig import HostConfig
from kttun.routing.linklocal import is_cluster_dns


@pytest.mark.parametrize("cidr", ["169.254.20.10/32", "169.254.25.10/32", "169.254.0.1/32"])
def test_a_dns_cache_of_the_nodes_may_be_routed_also_by_root(cidr):
    network = ip_network(cidr)
    assert is_cluster_dns(network)
    HostConfig(session="a", tun_mtu=1400, addresses=(ip_interface("198.18.0.1/30"),), routes=(network,))


@pytest.mark.parametrize(
    "cidr",
    [
        "169.254.169.254/32",
        "169.254.169.253/32",
        "169.254.170.2/32",
        "169.254.170.23/32",
        "169.254.20.0/24",
        "169.254.0.0/16",
        "10.96.0.10/32",
        "fe80::a/128",
        "fd00:ec2::254/128",
        "0.0.0.0/0",
        "::/0",
    ],
)
def test_nothing_else_may(cidr):
    assert not is_cluster_dns(ip_network(cidr))
