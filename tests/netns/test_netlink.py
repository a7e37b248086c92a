from dataclasses import replace
from ipaddress import ip_interface, ip_network

import pytest

from kttun.errors import EnvironmentFaultError
from kttun.host import netlink
from kttun.host.device import TX_QUEUE_PACKETS
from kttun.host.fib import Fib, RouteKind
from kttun.host.tun import open_tun
from kttun.routing.hostconfig import HostConfig


def nets(*cidrs):
    return tuple(ip_network(cidr) for cidr in cidrs)


CONFIG = HostConfig(
    session="a",
    tun_mtu=1450,
    addresses=(ip_interface("10.99.0.1/32"), ip_interface("fd99::1/128")),
    routes=nets("10.96.0.0/12", "fd00:96::/108"),
    throws=nets("10.96.0.10/32", "fd00:96::a/128"),
)


@pytest.fixture(autouse=True)
def uplink(device, run):
    """The machine's own way out."""
    device("uplink", "192.168.7.2/24", "fd07::2/64")
    run("ip route add default via 192.168.7.1 && ip -6 route add default via fd07::1")


def way(run, address):
    return run(f"ip route get {address}").split(" dev ")[1].split()[0]


def test_apply_then_undo_leaves_the_machine_as_it_was(machine, echo):
    before = machine()
    tun = open_tun()
    netlink.apply(tun, CONFIG, echo)
    assert machine() != before
    netlink.undo(tun, echo)
    tun.close()
    assert machine() == before


def test_exactly_the_routes_enter_the_tun_and_throws_do_not(tun, echo, run):
    netlink.apply(tun, CONFIG, echo)
    for address in ("10.96.0.1", "10.111.255.255", "fd00:96::1"):
        assert way(run, address) == "kttun0"
    for address in ("10.96.0.10", "10.112.0.0", "8.8.8.8", "fd00:96::a", "fd00:97::1"):
        assert way(run, address) == "uplink"
    assert "src 10.99.0.1" in run("ip route get 10.96.0.1")
    assert "src fd99::1" in run("ip route get fd00:96::1")


def test_what_is_in_force_is_read_back(tun, echo):
    got = netlink.apply(tun, CONFIG, echo)
    assert got == netlink.in_force(tun)
    assert (got.tun_mtu, set(got.addresses)) == (1450, set(CONFIG.addresses))
    assert (set(got.routes), set(got.throws)) == (set(CONFIG.routes), set(CONFIG.throws))
    assert got.table == 107_000_000 + tun.index


def test_each_act_is_echoed_as_its_command(tun, echo):
    table = netlink.table_of(tun.index)
    netlink.apply(
        tun, replace(CONFIG, addresses=CONFIG.addresses[:1], routes=CONFIG.routes[:1], throws=CONFIG.throws[:1]), echo
    )
    assert echo.take() == (
        "ip link set dev kttun0 addrgenmode none",
        "ip link set dev kttun0 multicast off",
        f"ip link set dev kttun0 mtu 1450 txqueuelen {TX_QUEUE_PACKETS} up",
        "ip address add 10.99.0.1/32 dev kttun0",
        f"ip route replace throw 10.96.0.10/32 table {table} proto 107",
        f"ip route replace 10.96.0.0/12 dev kttun0 table {table} proto 107",
        f"ip -4 rule add priority 5006 from 10.99.0.1 table {table} protocol 107",
        f"ip -4 rule add priority 5107 table {table} protocol 107",
    )
    netlink.undo(tun, echo)
    assert echo.take() == (
        f"ip -4 rule del priority 5107 table {table}",
        f"ip -4 rule del priority 5006 from 10.99.0.1 table {table}",
        f"ip route del 10.96.0.0/12 dev kttun0 table {table}",
        f"ip route del throw 10.96.0.10/32 table {table}",
    )


def test_the_echo_typed_into_a_shell_does_the_same(echo, machine, run):
    before = machine()
    tun = open_tun()
    netlink.apply(tun, CONFIG, echo)
    lines, applied = echo.take(), machine()
    netlink.undo(tun, echo)
    undo_lines = echo.take()
    tun.close()
    tun = open_tun()
    table = netlink.table_of(tun.index)
    for line in lines:
        run(line.replace(str(table - 1), str(table)))
    typed = {key: str(value).replace(str(table), str(table - 1)) for key, value in machine().items()}
    for key in ("rule", "-6 rule", "route show table all", "-6 route show table all"):
        assert typed[key] == str(applied[key])
    for line in undo_lines:
        run(line.replace(str(table - 1), str(table)))
    tun.close()
    assert machine() == before


def test_a_second_apply_does_nothing(tun, echo, machine):
    netlink.apply(tun, CONFIG, echo)
    echo.take()
    before = machine()
    netlink.apply(tun, CONFIG, echo)
    assert echo.take() == ()
    assert machine() == before


def test_only_the_difference_is_done_and_additions_come_first(tun, echo):
    table = netlink.table_of(tun.index)
    netlink.apply(tun, CONFIG, echo)
    echo.take()
    changed = replace(
        CONFIG,
        tun_mtu=1400,
        addresses=(ip_interface("10.99.0.2/32"), CONFIG.addresses[1]),
        routes=nets("10.96.0.0/12", "10.0.0.0/16"),
        throws=nets("10.96.0.10/32"),
    )
    netlink.apply(tun, changed, echo)
    assert echo.take() == (
        "ip link set dev kttun0 mtu 1400",
        "ip address add 10.99.0.2/32 dev kttun0",
        "ip address del 10.99.0.1/32 dev kttun0",
        f"ip route replace 10.0.0.0/16 dev kttun0 table {table} proto 107",
        f"ip -4 rule add priority 5006 from 10.99.0.2 table {table} protocol 107",
        f"ip -6 rule del priority 5107 table {table}",
        f"ip -4 rule del priority 5006 from 10.99.0.1 table {table}",
        f"ip -6 rule del priority 5006 from fd99::1 table {table}",
        f"ip route del fd00:96::/108 dev kttun0 table {table}",
        f"ip route del throw fd00:96::a/128 table {table}",
    )


def test_a_route_may_become_a_throw_and_back(tun, echo):
    flipped = replace(CONFIG, routes=CONFIG.throws, throws=CONFIG.routes)
    for config in (CONFIG, flipped, CONFIG):
        got = netlink.apply(tun, config, echo)
        assert (set(got.routes), set(got.throws)) == (set(config.routes), set(config.throws))


def test_everything_can_go_into_the_tunnel_but_for_throws(tun, echo, run):
    everything = replace(CONFIG, routes=nets("0.0.0.0/0", "::/0"), throws=nets("192.168.7.0/24", "fd07::/64"))
    got = netlink.apply(tun, everything, echo)
    assert set(got.routes) == set(nets("0.0.0.0/0", "::/0"))
    assert [way(run, a) for a in ("8.8.8.8", "2001:db8::1")] == ["kttun0"] * 2
    assert [way(run, a) for a in ("192.168.7.1", "fd07::1")] == ["uplink"] * 2
    assert way(run, "192.168.7.2") == "lo"


def test_a_removed_rule_comes_back(tun, echo, run):
    netlink.apply(tun, CONFIG, echo)
    run(f"ip rule del priority {netlink.RULE_PRIORITY} table {netlink.table_of(tun.index)}")
    assert way(run, "10.96.0.1") == "uplink"
    netlink.apply(tun, CONFIG, echo)
    assert way(run, "10.96.0.1") == "kttun0"


def test_routes_of_others_are_never_touched(tun, echo, run):
    table = netlink.table_of(tun.index)
    netlink.apply(tun, CONFIG, echo)
    run(f"ip route add 10.1.0.0/16 dev uplink table {table} && ip rule add priority 5107 table 77")
    netlink.apply(tun, CONFIG, echo)
    netlink.undo(tun, echo)
    assert "10.1.0.0/16" in run(f"ip route show table {table}")
    assert "lookup 77" in run("ip rule")


def test_two_sessions_stand_side_by_side(tun, echo, run, machine):
    netlink.apply(tun, CONFIG, echo)
    before = machine()
    other = open_tun()
    mine = replace(CONFIG, addresses=(ip_interface("10.99.0.5/32"),), routes=nets("172.20.0.0/16"), throws=())
    netlink.apply(other, mine, echo)
    assert [way(run, a) for a in ("10.96.0.1", "172.20.0.1")] == ["kttun0", "kttun1"]
    netlink.undo(other, echo)
    other.close()
    assert machine() == before


def test_the_link_is_silent(tun, echo, run):
    netlink.apply(tun, CONFIG, echo)
    assert "MULTICAST" not in run("ip link show dev kttun0")
    assert "fe80" not in run("ip address show dev kttun0")


def test_thousands_of_routes_come_and_go_in_batches(tun, echo):
    every = tuple(ip_network((0x0A00_0000 + n, 32)) for n in range(4000))
    every += tuple(ip_network(((0xFD00 << 112) + n, 128)) for n in range(1000))
    got = netlink.apply(tun, replace(CONFIG, routes=every, throws=()), echo)
    assert set(got.routes) == set(every)
    assert "# and 4980 more like these" in echo.take()
    netlink.undo(tun, echo)
    with Fib() as fib:
        assert fib.read() == []


def test_a_device_that_somebody_took_away_is_named(echo, run):
    tun = open_tun()
    run("ip link del kttun0")
    with pytest.raises(EnvironmentFaultError, match="kttun0: No such device") as caught:
        netlink.apply(tun, CONFIG, echo)
    assert "took the device away" in caught.value.hints[0]
    netlink.undo(tun, echo)
    tun.close()


def test_a_refused_route_is_named_and_can_be_undone(echo, run, machine):
    before = machine()
    tun = open_tun()
    netlink.apply(tun, replace(CONFIG, routes=(), throws=()), echo)
    run("ip link set dev kttun0 down")
    with Fib() as fib, pytest.raises(EnvironmentFaultError, match=r"route 10\.96\.0\.0/12: Network is down"):
        fib.put(netlink.table_of(tun.index), [(CONFIG.routes[0], RouteKind.INTO_TUN)], tun.index)
    netlink.undo(tun, echo)
    tun.close()
    assert machine() == before


def test_ipv6_that_is_turned_off_is_named(tun, echo, run):
    run("sysctl -qw net.ipv6.conf.kttun0.disable_ipv6=1")
    with pytest.raises(EnvironmentFaultError, match="fd99::1/128") as caught:
        netlink.apply(tun, CONFIG, echo)
    assert "disable_ipv6" in caught.value.hints[0]
