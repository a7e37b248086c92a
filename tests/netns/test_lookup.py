from ipaddress import ip_address, ip_interface, ip_network

from kttun.host import netlink
from kttun.host.lookup import (
    DefaultGateway,
    RouteLookUp,
    connected_networks,
    default_gateways,
    existing_routes,
    look_up,
    networks_of_sessions,
)
from kttun.routing.hostconfig import HostConfig


def told(found):
    return {tuple(str(getattr(entry, slot)) for slot in entry.__slots__) for entry in found}


def test_a_machine_without_network_has_no_ways():
    assert look_up(ip_address("8.8.8.8")) is None
    assert look_up(ip_address("2001:db8::1")) is None
    assert (connected_networks(), default_gateways(), existing_routes()) == ((), (), ())


def test_a_look_up_says_device_gateway_source_and_table(device, run):
    device("eth0", "192.168.7.2/24", "fd07::2/64")
    run("ip route add default via 192.168.7.1 && ip -6 route add default via fd07::1")
    gateway, source = ip_address("192.168.7.1"), ip_address("192.168.7.2")
    assert look_up(ip_address("8.8.8.8")) == RouteLookUp("eth0", gateway, source, 254)
    assert look_up(ip_address("192.168.7.9")) == RouteLookUp("eth0", None, source, 254)
    assert look_up(ip_address("2001:db8::1")) == RouteLookUp("eth0", ip_address("fd07::1"), ip_address("fd07::2"), 254)
    assert look_up(source).device == "lo"


def test_blocked_addresses_have_no_way(device, run):
    device("eth0", "192.168.7.2/24")
    run("ip route add unreachable 10.1.0.0/16; ip route add prohibit 10.2.0.0/16; ip route add blackhole 10.3.0.0/16")
    assert [look_up(ip_address(f"10.{n}.0.1")) for n in (1, 2, 3)] == [None] * 3


def test_connected_networks_are_those_of_own_addresses(device, run):
    device("eth0", "192.168.7.2/24", "fd07::2/64", "203.0.113.5/32")
    device("tun5")
    run("ip address add 10.8.0.6 peer 10.8.0.5/32 dev tun5")
    assert told(connected_networks()) == {
        ("192.168.7.0/24", "eth0"),
        ("fd07::/64", "eth0"),
        ("10.8.0.5/32", "tun5"),
    }


def test_all_default_gateways_are_found(device, run):
    device("eth0", "192.168.7.2/24", "fd07::2/64")
    device("eth1", "192.168.8.2/24")
    device("ppp0", "10.64.0.9/32")
    run("ip route add default nexthop via 192.168.7.1 nexthop via 192.168.8.1")
    run("ip route add default dev ppp0 metric 50 && ip -6 route add default via fd07::1")
    run("ip route add default via 192.168.8.7 table 99")
    assert set(default_gateways()) == {
        DefaultGateway("eth0", ip_address("192.168.7.1")),
        DefaultGateway("eth1", ip_address("192.168.8.1")),
        DefaultGateway("eth1", ip_address("192.168.8.7")),
        DefaultGateway("ppp0", None),
        DefaultGateway("eth0", ip_address("fd07::1")),
    }


def test_a_gateway_of_the_other_family_is_found(device, run):
    device("eth0", "192.168.7.2/24", "fd07::2/64")
    run("ip route add default via inet6 fd07::1 dev eth0")
    assert DefaultGateway("eth0", ip_address("fd07::1")) in default_gateways()


def test_existing_routes_name_their_owners(device, run):
    device("docker0", "172.17.0.1/16")
    device("wg0", "10.8.0.2/32")
    device("eth0", "192.168.7.2/24", "fd07::2/64")
    run("ip route add 10.8.0.0/16 dev wg0 && ip route add 10.20.0.0/16 dev eth0 proto dhcp")
    run("ip route add 100.64.0.0/10 dev wg0 table 52 && ip route add default via 192.168.7.1")
    assert told(existing_routes()) == {
        ("172.17.0.0/16", "docker0", "Docker"),
        ("10.8.0.0/16", "wg0", "WireGuard"),
        ("100.64.0.0/10", "wg0", "WireGuard"),
        ("192.168.7.0/24", "eth0", "connected network"),
        ("fd07::/64", "eth0", "connected network"),
        ("10.20.0.0/16", "eth0", "DHCP"),
    }


def test_a_session_of_ours_is_no_part_of_the_machine(tun, echo, device):
    device("eth0", "192.168.7.2/24")
    before = connected_networks(), default_gateways(), existing_routes()
    networks = tuple(ip_network(cidr) for cidr in ("10.96.0.0/12", "0.0.0.0/0"))
    netlink.apply(tun, HostConfig("a", 1400, addresses=(ip_interface("10.99.0.1/24"),), routes=networks), echo)
    assert (connected_networks(), default_gateways(), existing_routes()) == before
    found = look_up(ip_address("10.96.0.1"))
    assert (found.device, found.table) == ("kttun0", netlink.table_of(tun.index))


def test_what_living_sessions_route_is_known_by_device(tun, echo, run):
    assert networks_of_sessions() == {}
    networks = tuple(ip_network(cidr) for cidr in ("10.96.0.0/12", "fd00:96::/108"))
    addresses = (ip_interface("10.99.0.1/24"), ip_interface("fd99::1/128"))
    throws = (ip_network("10.96.1.0/24"),)
    netlink.apply(tun, HostConfig("a", 1400, addresses=addresses, routes=networks, throws=throws), echo)
    run("ip route add throw 10.1.0.0/16 table 107099999 protocol 107")  # of a session that is dead
    assert networks_of_sessions() == {"kttun0": networks}
