"""Two sessions that route the same networks, as two namespaces of one cluster do: what has begun stays where it is."""

import os
import select
import socket
from dataclasses import replace
from ipaddress import ip_interface, ip_network
from types import SimpleNamespace

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6

from kttun.host import leftovers, netlink
from kttun.host.echo import Echo
from kttun.host.tun import VNET_HDR_BYTES, open_tun
from kttun.routing.hostconfig import HostConfig

PEERS = {4: "10.96.0.7", 6: "fd00:96::7"}
FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}
FIRST = HostConfig(
    session="first",
    tun_mtu=1450,
    addresses=(ip_interface("198.18.0.1/30"), ip_interface("fd6b::1/126")),
    routes=(ip_network("10.96.0.0/12"), ip_network("fd00:96::/108")),
)
SECOND = replace(FIRST, session="second", addresses=(ip_interface("198.18.0.5/30"), ip_interface("fd6b::5/126")))
THIRD = replace(FIRST, session="third", addresses=(ip_interface("198.18.0.9/30"), ip_interface("fd6b::9/126")))


class Side:
    """A session's device, with what the kernel sends into it."""

    def __init__(self, config):
        self.config, self.tun, self.lives = config, open_tun(), True
        self.begin()

    def begin(self):
        netlink.apply(self.tun, self.config, Echo())

    def end(self):
        """End in order, as the helper does."""
        if self.lives:
            self.lives = False
            netlink.undo(self.tun, Echo())
            self.tun.close()

    def packet(self):
        assert select.select([self.tun], [], [], 60)[0]
        raw = os.read(self.tun.fileno(), 65536)[VNET_HDR_BYTES:]
        return IPv6(raw) if raw[0] >> 4 == 6 else IP(raw)

    def write(self, packet):
        os.write(self.tun.fileno(), bytes(VNET_HDR_BYTES) + bytes(packet))


class Flow:
    """A program's connected socket."""

    def __init__(self, version):
        self.socket = socket.socket(FAMILIES[version], socket.SOCK_DGRAM)
        self.socket.connect((PEERS[version], 7))
        self.socket.settimeout(60)

    def passes(self, side):
        """Tell whether a packet goes out by this side, and its answer comes back."""
        mine = os.urandom(8)
        self.socket.send(mine)
        packet = side.packet()
        assert bytes(packet[UDP].payload) == mine
        head = type(packet)(src=packet.dst, dst=packet.src)
        side.write(head / UDP(sport=packet[UDP].dport, dport=packet[UDP].sport) / mine[::-1])
        return self.socket.recv(100) == mine[::-1]


@pytest.fixture
def world(run):
    """A machine with the strictest check of where packets come from (ip-sysctl: rp_filter), and three sessions."""
    for name in ("all", "default"):
        run(f"sysctl -qw net.ipv4.conf.{name}.rp_filter=1")
    made, flows = [], []

    def session(config):
        made.append(Side(config))
        return made[-1]

    def flow(version):
        flows.append(Flow(version))
        return flows[-1]

    yield SimpleNamespace(session=session, flow=flow)
    for each in flows:
        each.socket.close()
    for side in made:
        side.end()


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("later_ends_first", [False, True])
def test_a_flow_stays_in_its_session_whoever_comes_and_goes(world, version, later_ends_first):
    first = world.session(FIRST)
    old = world.flow(version)
    assert old.passes(first)
    second = world.session(SECOND)
    new = world.flow(version)
    assert old.passes(first)
    assert new.passes(second)
    ends, stays, flow = (second, first, old) if later_ends_first else (first, second, new)
    ends.end()
    assert flow.passes(stays)
    assert world.flow(version).passes(stays)


@pytest.mark.parametrize("version", [4, 6])
def test_new_flows_take_the_session_that_began_last_and_lives(world, version):
    first, second = world.session(FIRST), world.session(SECOND)
    assert world.flow(version).passes(second)
    second.end()
    assert world.flow(version).passes(first)
    third = world.session(THIRD)
    assert world.flow(version).passes(third)


def test_a_session_that_applies_again_keeps_its_place(world):
    first, second = world.session(FIRST), world.session(SECOND)
    first.config = replace(FIRST, routes=(*FIRST.routes, ip_network("10.244.0.0/16")))
    first.begin()
    assert world.flow(4).passes(second)


def test_what_only_one_of_them_excludes_goes_where_it_would_without_it(world, run):
    first = world.session(FIRST)
    world.session(replace(SECOND, throws=(ip_network("10.96.0.7/32"),)))
    assert world.flow(4).passes(first)


def test_more_sessions_than_priorities_still_work(world, run):
    table = 107_000_000 + 99_999  # of a link that there is not
    run(f"ip rule add priority {netlink.FIRST_PRIORITY} table {table} protocol 107")
    first = world.session(FIRST)
    assert f"{netlink.FIRST_PRIORITY}:" in run(f"ip rule show table {netlink.table_of(first.tun.index)}")
    assert world.flow(4).passes(first)


def test_all_rules_of_a_dead_session_are_found_and_those_of_the_living_kept(world, run, echo, machine):
    world.session(FIRST)
    before = machine()
    second = world.session(SECOND)
    second.lives = False
    second.tun.close()  # as a helper that was killed leaves it
    found = [each for each in leftovers.find() if each.kind == "rule"]
    assert sorted(each.name.partition(" table")[0] for each in found) == [
        "IPv4 priority 5006 from 198.18.0.5",
        "IPv4 priority 5106",
        "IPv6 priority 5006 from fd6b::5",
        "IPv6 priority 5106",
    ]
    leftovers.remove(leftovers.find(), echo)
    assert echo.failures == []
    assert machine() == before
