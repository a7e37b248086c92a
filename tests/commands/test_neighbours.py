"""Sessions whose networks meet: those of one cluster live side by side, all others are refused."""

import os
from ipaddress import ip_network

import pytest

from kttun.commands import neighbours
from kttun.commands.neighbours import side_by_side
from kttun.errors import RefusedError
from kttun.routing.plan import ExcludedRoute, PlannedRoute, RoutePlan

SERVER = "https://192.0.2.1:6443"


def plan(*cidrs, excluded=()):
    return RoutePlan(
        tunnel=tuple(PlannedRoute(ip_network(cidr), "test") for cidr in cidrs),
        excluded=tuple(ExcludedRoute(ip_network(cidr), "--exclude") for cidr in excluded),
    )


@pytest.fixture
def other(monkeypatch, serve):
    """A function that makes the session `db` on kttun0, with these networks and this server."""

    def make(*cidrs, server=SERVER):
        routed = {"kttun0": tuple(ip_network(cidr) for cidr in cidrs)}
        monkeypatch.setattr(neighbours, "networks_of_sessions", lambda: routed)
        serve("db", {"status": lambda _: {"interface": "kttun0", "server": server}})

    return make


def test_alone_there_is_nobody_to_ask(runtime, monkeypatch):
    monkeypatch.setattr(neighbours, "networks_of_sessions", dict)
    assert side_by_side(plan("10.96.0.0/12"), SERVER, own="") == []


@pytest.mark.parametrize("routed", ["10.96.0.0/12", "10.0.0.0/8", "10.96.7.7/32", "0.0.0.0/0"])
def test_a_session_of_the_same_cluster_is_a_neighbour(other, routed):
    other(routed)
    assert side_by_side(plan("10.96.0.0/12"), SERVER, own="kttun1") == ["db"]


@pytest.mark.parametrize(
    ("routed", "shared"),
    [("10.96.0.0/12", "10.96.0.0/12"), ("10.0.0.0/8", "10.96.0.0/12"), ("10.96.7.7/32", "10.96.7.7/32")],
)
def test_another_cluster_behind_the_same_addresses_is_refused(other, routed, shared):
    other(routed, server="https://192.0.2.2:6443")
    with pytest.raises(RefusedError, match=r"^session db with https://192\.0\.2\.2:6443 has ") as caught:
        side_by_side(plan("10.96.0.0/12"), SERVER, own="kttun1")
    assert caught.value.exit_code == 4
    assert f"has {shared} already (kttun0)" in caught.value.message
    assert any(f"--exclude {shared}" in hint for hint in caught.value.hints)


def test_what_the_hint_says_helps(other):
    other("10.96.7.0/24", server="https://192.0.2.2:6443")
    assert side_by_side(plan("10.96.0.0/12", excluded=["10.96.7.0/24"]), SERVER, own="kttun1") == []


@pytest.mark.parametrize("routed", ["10.112.0.0/16", "fd00::/64"])
def test_other_networks_are_nobodys_business(other, routed):
    other(routed, server="https://192.0.2.2:6443")
    assert side_by_side(plan("10.96.0.0/12"), SERVER, own="kttun1") == []


def test_our_own_device_is_no_neighbour(other):
    other("10.96.0.0/12", server="https://192.0.2.2:6443")
    assert side_by_side(plan("10.96.0.0/12"), SERVER, own="kttun0") == []


def test_a_session_of_another_user_is_refused_since_its_connections_would_come_to_us(other, monkeypatch):
    other("10.96.0.0/12")
    monkeypatch.setattr(os, "access", lambda _path, mode: mode != os.W_OK)
    with pytest.raises(RefusedError, match=r"does not answer us has 10\.96\.0\.0/12 already \(kttun0, of another user"):
        side_by_side(plan("10.96.0.0/12"), SERVER, own="kttun1")
