"""What stays out of the tunnel though it lies inside a routed network: the API server, and what the user excluded."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from .lab import api_address, pods, service_address, wait_until_gone

pytestmark = pytest.mark.cluster

SESSION = "excluding"
OUT = "lan"  # where the laptop's default route leads


def around(address, prefix):
    """The network of this size that the address lies in."""
    return ip_network(f"{address}/{prefix}", strict=False)


@pytest.fixture(scope="module")
def excluded_pod():
    return pods("web")[0]


@pytest.fixture(scope="module")
def excluded_services():
    return around(service_address("web"), 24)


@pytest.fixture(scope="module")
def session(dev, excluded_pod, excluded_services):
    """A session whose routes contain the API server, a pod and a range of Services, which all shall stay outside."""
    include = ["--include", str(around(api_address(), 16))]
    exclude = ["--exclude", f"{excluded_pod}/32,{excluded_services}"]
    with dev.connected("feature-1", "--session", SESSION, *include, *exclude) as up:
        yield up
    wait_until_gone("feature-1", SESSION)


def test_the_api_server_stays_outside_though_its_network_is_inside(dev, session):
    inside = str(around(api_address(), 16).network_address + 0x7777)
    assert dev.device_of(inside) == dev.status(SESSION)["interface"]
    assert dev.device_of(api_address()) != dev.status(SESSION)["interface"]


def test_the_session_stays_up_and_kubectl_works_beside_much_traffic(dev, session):
    same = dev.client("uploads", f"http://{pods('ends')[0]}:8080/sha256", 4, 10_000_000)
    assert same == [{"bytes": 10_000_000, "same": True}] * 4
    assert dev.output("kubectl", "get", "pods", "-n", "feature-1", "-o", "name")
    status = dev.status(SESSION)
    assert (status["state"], status["resumes"]) == ("open", 0)


def test_an_excluded_address_stays_outside_and_its_neighbour_inside(dev, session, excluded_pod):
    neighbour = pods("web")[1]
    assert dev.device_of(excluded_pod) == OUT
    assert dev.device_of(neighbour) == dev.status(SESSION)["interface"]
    assert dev.output("curl", "-sf", f"http://{neighbour}:8080/").startswith("web-")


def test_an_excluded_network_stays_outside_with_both_its_ends(dev, session, excluded_services):
    interface = dev.status(SESSION)["interface"]
    first, last = excluded_services[0], excluded_services[-1]
    assert [dev.device_of(str(each)) for each in (first, last)] == [OUT, OUT]
    assert [dev.device_of(str(each)) for each in (first - 1, last + 1)] == [interface, interface]


def test_routes_names_each_exclusion_with_its_reason(dev, session, excluded_pod, excluded_services):
    plan = dev.kttun("routes").stdout
    reasons = {line.split()[1]: line.split(maxsplit=2)[2] for line in plan.splitlines() if line.startswith("excluded")}
    assert reasons[f"{excluded_pod}/32"] == reasons[str(excluded_services)] == "--exclude"
    assert reasons[f"{api_address()}/32"] == "API server"
