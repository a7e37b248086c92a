"""What an open session says of itself, to people and to scripts."""

from __future__ import annotations

import json
from ipaddress import ip_address, ip_network

import pytest

from .lab import pods, service_address
from .waiting import until

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("connected")]

WHOLE, REAL, TEXT, LIST = int, (int, float), str, list
STATUS = {
    "name": TEXT, "state": TEXT, "since": TEXT, "namespace": TEXT, "context": TEXT, "server": TEXT, "interface": TEXT,
    "addresses": [TEXT], "engine": TEXT, "engine_reason": TEXT, "gateway": {"job": TEXT, "pod": TEXT, "node": TEXT},
    "lanes": [{"index": WHOLE, "state": TEXT, "rtt_ms": REAL, "in_flight": WHOLE}],
    "rtt_ms": REAL, "last_echo_s": REAL, "resumes": WHOLE, "routes": WHOLE, "routes_mode": TEXT,
    "dns": {"mode": TEXT, "domains": [TEXT]}, "intercepts": LIST,
    "counters": {
        "tx_packets": WHOLE, "tx_bytes": WHOLE, "rx_packets": WHOLE, "rx_bytes": WHOLE, "drops": {"queue_full": WHOLE},
    },
}  # fmt: skip
"""`kttun status --json`, one of `sessions`, as the command line's contract has it; `drops` by one of its reasons."""
ROUTES = {
    "schema": WHOLE,
    "tunnel": [{"cidr": TEXT, "source": TEXT}],
    "excluded": [{"cidr": TEXT, "reason": TEXT}],
    "conflicts": [{"cidr": TEXT, "device": TEXT, "owner": TEXT}],
}


def lacking(shape, value, where="it"):
    """Name each place where a JSON value is not of the shape; more keys are fine, and so is an empty list."""
    match shape:
        case dict():
            if not isinstance(value, dict):
                return [where]
            inner = [(kind, value.get(key), f"{where}.{key}") for key, kind in shape.items()]
        case [kind]:
            if not isinstance(value, list):
                return [where]
            inner = [(kind, each, f"{where}[{index}]") for index, each in enumerate(value)]
        case _:
            return [] if isinstance(value, shape) and not isinstance(value, bool) else [where]
    return [place for each in inner for place in lacking(*each)]


def test_status_has_all_keys_of_the_contract(dev):
    # The first round trip is measured by the first heartbeat that comes back.
    until(lambda: dev.status()["rtt_ms"], 10, "a round trip")
    session = dev.status()
    assert lacking(STATUS, session) == []
    assert session["name"] == session["namespace"] == "feature-1"
    assert session["state"] == session["lanes"][0]["state"] == "open"
    assert session["gateway"]["pod"].startswith(session["gateway"]["job"])
    assert session["intercepts"] == []
    assert [ip_address(each).version for each in session["addresses"]] == [4, 6]


def test_status_for_people_names_the_session(dev):
    done = dev.kttun("status")
    assert (done.returncode, done.stderr) == (0, "")
    assert "feature-1: open" in done.stdout


def test_routes_has_all_keys_and_says_exactly_what_enters_the_tunnel(dev):
    plan = json.loads(dev.kttun("routes", "--json").stdout)
    assert lacking(ROUTES, plan) == []
    tunnel = [ip_network(route["cidr"]) for route in plan["tunnel"]]
    excluded = [ip_network(route["cidr"]) for route in plan["excluded"]]
    interface = dev.status()["interface"]
    for address in (service_address("web"), *pods("web"), dev.router(), "192.0.2.1"):
        enters = any(ip_address(address) in net for net in tunnel) > any(ip_address(address) in net for net in excluded)
        assert (dev.device_of(address) == interface) is enters, address
