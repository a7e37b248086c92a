"""What this machine must not lose; files are temporary, routes are told by a fake kernel."""

import os
import subprocess
import sys
from ipaddress import ip_address, ip_network

import pytest

from kttun.commands import surroundings
from kttun.commands.surroundings import check_unmoved, look_around
from kttun.errors import RefusedError
from kttun.host.lookup import DefaultGateway, RouteLookUp
from kttun.routing.plan import ConnectedNetwork, ExistingRoute

API = ip_address("203.0.113.5")
CONNECTED = (ConnectedNetwork(ip_network("192.168.7.0/24"), "eth0"),)
EXISTING = (ExistingRoute(ip_network("172.17.0.0/16"), "docker0", "Docker"),)


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """Devices by address (else eth0); its resolver files are in `tmp_path`."""
    devices = {}
    files = (tmp_path / "resolved.conf", tmp_path / "resolv.conf")

    def look_up(address):
        device = devices.get(str(address), "eth0")
        return device and RouteLookUp(device, None, None, 254)

    gateways = (DefaultGateway("eth0", ip_address("192.168.7.1")), DefaultGateway("ppp0", None))
    monkeypatch.setattr(surroundings, "look_up", look_up)
    monkeypatch.setattr(surroundings, "default_gateways", lambda: gateways)
    monkeypatch.setattr(surroundings, "connected_networks", lambda: CONNECTED)
    monkeypatch.setattr(surroundings, "existing_routes", lambda: EXISTING)
    monkeypatch.setattr(surroundings, "RESOLV_CONFS", files)
    monkeypatch.setattr(surroundings, "_ssh_peer", lambda: None)
    return devices


def reasons(found):
    return {str(route.cidr): route.reason for route in found.protected}


def test_everything_this_machine_needs_is_protected(machine, tmp_path, monkeypatch):
    (tmp_path / "resolved.conf").write_text("nameserver 192.168.7.53\nnameserver fd00::53\n")
    (tmp_path / "resolv.conf").write_text("# resolved's stub\nnameserver 127.0.0.53\n")
    monkeypatch.setattr(surroundings, "_ssh_peer", lambda: ip_address("198.51.100.7"))
    found = look_around([API, ip_address("2001:db8::5")])
    assert reasons(found) == {
        "203.0.113.5/32": "API server",
        "2001:db8::5/128": "API server",
        "192.168.7.1/32": "default gateway",
        "192.168.7.53/32": "DNS server",
        "fd00::53/128": "DNS server",
        "198.51.100.7/32": "SSH login",
    }
    assert found.nameservers == (ip_address("192.168.7.53"), ip_address("fd00::53"))
    assert (found.connected, found.existing) == (CONNECTED, EXISTING)


@pytest.mark.parametrize(
    ("text", "servers"),
    [
        ("", []),
        ("nameserver\n", []),
        ("nameserver localhost\n", []),
        ("options ndots:5\nsearch a b\n", []),
        ("nameserver ::1\nnameserver 127.0.0.1\n", []),
        ("nameserver fe80::1%eth0\n", ["fe80::1"]),
        ("nameserver 192.0.2.1 # the router\nnameserver 192.0.2.1\n", ["192.0.2.1"]),
        ("\tnameserver\t192.0.2.1\xa0\udcff\n", ["192.0.2.1"]),
    ],
)
def test_only_what_is_an_address_of_somebody_else_is_a_server(machine, tmp_path, text, servers):
    (tmp_path / "resolv.conf").write_bytes(text.encode("utf-8", "surrogateescape"))
    assert [str(address) for address in look_around([]).nameservers] == servers


def test_an_address_with_two_reasons_keeps_the_heavier_one(machine, tmp_path):
    (tmp_path / "resolv.conf").write_text("nameserver 192.168.7.1\n")
    assert reasons(look_around([ip_address("192.168.7.1")])) == {"192.168.7.1/32": "API server"}


def test_as_long_as_nothing_moves_nothing_is_said(machine):
    machine["192.168.7.1"] = None
    found = look_around([API])
    assert [device for *_, device in found.devices] == ["eth0", None]
    check_unmoved(found)


@pytest.mark.parametrize(("before", "after"), [("eth0", "kttun0"), ("eth0", None), (None, "kttun0")])
def test_an_address_that_would_leave_elsewhere_is_refused_with_a_way_out(machine, before, after):
    machine[str(API)] = before
    found = look_around([API])
    machine[str(API)] = after
    with pytest.raises(RefusedError) as caught:
        check_unmoved(found)
    words = f"API server 203.0.113.5 would leave by {after or 'no device'} instead of {before or 'no device'}"
    assert caught.value.message == f"{words} with these routes"
    assert caught.value.hints == ("keep it out: --exclude 203.0.113.5",)


ASK = "from kttun.commands.surroundings import _ssh_peer; print(_ssh_peer())"


def ssh_peer(*words, connection=None):
    """Ask in a process of its own, whose first environment decides; none of ours is handed down."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("SSH_")}
    if connection is not None:
        environment["SSH_CONNECTION"] = connection
    words = [*words, sys.executable, "-c", ASK]
    return subprocess.run(words, env=environment, capture_output=True, text=True, check=True, timeout=60).stdout.strip()


@pytest.mark.parametrize(
    ("connection", "peer"),
    [
        ("198.51.100.7 50022 203.0.113.9 22", "198.51.100.7"),
        ("fe80::7%eth0 50022 fe80::9%eth0 22", "fe80::7"),
        ("", "None"),
        ("nonsense", "None"),
    ],
)
def test_the_far_end_of_the_ssh_login_is_found_in_the_environment(connection, peer):
    assert ssh_peer(connection=connection) == peer


def test_the_login_is_found_in_an_ancestor_where_sudo_took_it_out_of_the_environment():
    script = 'env -u SSH_CONNECTION "$@"; true'
    assert ssh_peer("sh", "-c", script, "sh", connection="198.51.100.7 50022 203.0.113.9 22") == "198.51.100.7"


def test_processes_that_cannot_be_read_hide_no_ancestor(monkeypatch):
    monkeypatch.setattr(os, "getpid", lambda: 2**22 + 1)  # above PID_MAX_LIMIT: there is no such process
    assert surroundings._ssh_peer() is None
