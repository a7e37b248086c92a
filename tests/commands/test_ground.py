"""A session's ground against an API server in small: what is looked at, what is said, and what is planned of it."""

import json
from dataclasses import replace
from ipaddress import ip_address, ip_network

import pytest
import yaml
from fakes.kube import Kube

from kttun.commands import ground
from kttun.commands.ground import survey
from kttun.commands.surroundings import Surroundings
from kttun.errors import EnvironmentFaultError
from kttun.rendezvous import GatewayReport
from kttun.routing.plan import ConnectedNetwork, ExcludedRoute, ExistingRoute

REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
REPORT = GatewayReport("1", 0, networks=("10.244.3.0/24", "fd00:244:3::/64"))


@pytest.fixture
def kube():
    """A cluster that allows all and tells its Service range and one node's pods."""
    with Kube() as server:
        server.script["POST", REVIEWS] = {"status": {"allowed": True}}
        kubernetes = {"metadata": {"name": "kubernetes"}, "spec": {"cidrs": ["10.96.0.0/16"]}}
        server.script["GET", "/apis/networking.k8s.io/v1/servicecidrs"] = {"items": [kubernetes]}
        node = {"metadata": {"name": "n1"}, "spec": {"podCIDRs": ["10.244.0.0/24"]}}
        server.script["GET", "/api/v1/nodes"] = {"items": [node]}
        server.script["GET", "/api/v1/namespaces/shop/pods"] = {"items": []}
        yield server


@pytest.fixture
def around(monkeypatch):
    """The machine's surroundings; the addresses it was asked about are kept in its nameservers."""
    seen = []

    def look(addresses):
        seen.extend(addresses)
        return Surroundings(
            protected=tuple(ExcludedRoute(ip_network(address), "API server") for address in seen),
            connected=(ConnectedNetwork(ip_network("10.244.9.0/24"), "eth0"),),
            existing=(ExistingRoute(ip_network("10.96.7.0/24"), "wg0", "WireGuard"),),
            nameservers=(),
            devices=(),
        )

    monkeypatch.setattr(ground, "look_around", look)
    return seen


@pytest.fixture
def surveyed(kube, around, tmp_path, options, console):
    """A function from more options of `up` to a surveyed ground."""

    def make(line=""):
        document = {
            "current-context": "lab",
            "contexts": [{"name": "lab", "context": {"cluster": "c", "user": "u", "namespace": "shop"}}],
            "clusters": [{"name": "c", "cluster": {"server": kube.url}}],
            "users": [{"name": "u", "user": {}}],
        }
        path = tmp_path / "kubeconfig"
        path.write_text(yaml.safe_dump(document))
        return survey(options(f"up --kubeconfig {path} {line}").config, console)

    return make


def steps(console):
    return [line.rpartition(" (")[0] for line in console.stream.getvalue().splitlines()]


def test_each_step_says_what_it_found(surveyed, kube, around, console):
    found = surveyed()
    assert steps(console) == [
        f"+ kubeconfig namespace shop of context lab at {kube.url}",
        "+ rights     complete",
        "+ discovery  ServiceCIDR kubernetes, podCIDR of node n1",
    ]
    assert around == [ip_address("127.0.0.1")]
    assert (found.login.namespace, found.login.context) == ("shop", "lab")


def test_nothing_is_changed_in_the_cluster(surveyed, kube):
    surveyed()
    changing = [call for call in kube.calls if call.method != "GET" and call.path != REVIEWS]
    assert all(call.query.get("dryRun") == "All" for call in changing)


def test_optional_rights_that_are_missing_are_named(surveyed, kube, console):
    def review(call):
        attributes = call.body["spec"]["resourceAttributes"]
        return {"status": {"allowed": attributes["resource"] != "events"}}

    kube.script["POST", REVIEWS] = review
    surveyed()
    assert steps(console)[1] == "+ rights     all but the optional list events, watch events"


def test_rights_that_are_needed_and_missing_end_it(surveyed, kube, around, console):
    kube.script["POST", REVIEWS] = {"status": {"allowed": False}}
    with pytest.raises(EnvironmentFaultError, match="missing rights in namespace shop: create jobs"):
        surveyed()
    assert console.stream.getvalue().splitlines()[-1] == "x rights     failed"
    assert around == []


def test_a_cluster_that_tells_nothing_leaves_it_to_the_gateway(surveyed, kube, console):
    for path in ("/apis/networking.k8s.io/v1/servicecidrs", "/api/v1/nodes", "/api/v1/namespaces/shop/services"):
        kube.script["GET", path] = {"items": []}
    console.debug = True
    surveyed()
    lines = console.stream.getvalue().splitlines()
    assert any("discovery  nothing but what the gateway will see" in line for line in lines)
    assert any("only the addresses of the Services of shop" in line for line in lines)


def test_the_plan_hears_every_voice(surveyed):
    plan = surveyed("--exclude 10.96.1.0/24 --include 192.0.2.0/24").plan()
    assert [(str(route.cidr), route.source) for route in plan.tunnel] == [
        ("10.96.0.0/16", "ServiceCIDR kubernetes"),
        ("10.244.0.0/24", "podCIDR of node n1"),
        ("192.0.2.0/24", "--include"),
    ]
    assert [str(route.cidr) for route in plan.excluded] == ["10.96.1.0/24"]
    assert [str(conflict.cidr) for conflict in plan.conflicts] == ["10.96.7.0/24"]
    json.dumps(plan.to_json())


def sources(plan):
    return {str(route.cidr): route.source for route in plan.tunnel}


def test_the_gateways_own_networks_join_the_plan(surveyed):
    found = sources(surveyed().plan_with(REPORT, "pod-x"))
    assert found["10.244.3.0/24"] == found["fd00:244:3::/64"] == "gateway pod pod-x"


@pytest.mark.parametrize("line", ["--routes addresses", "--pod-cidr 10.244.0.0/16"])
def test_they_do_not_where_the_user_wants_less_or_knows_better(surveyed, line):
    ground_ = surveyed(line)
    assert ground_.plan_with(REPORT, "pod-x") == ground_.plan()


RESOLVES = replace(REPORT, nameservers=("169.254.20.10", "10.200.0.10"), search=("svc.cluster.local",))


@pytest.mark.parametrize("line", ["", "--routes addresses", "--pod-cidr 10.244.0.0/16"])
def test_the_dns_servers_that_the_gateway_has_are_routed_in_every_mode(surveyed, line):
    found = sources(surveyed(line).plan_with(RESOLVES, "pod-x"))
    assert found["169.254.20.10/32"] == found["10.200.0.10/32"] == "DNS server of the cluster"


def test_an_address_that_this_machine_has_itself_is_not_routed_to_the_clusters_dns(surveyed, monkeypatch):
    """A laptop that is a node itself has the DNS cache, too."""
    monkeypatch.setattr(ground, "is_own", lambda address: str(address) == "169.254.20.10")
    found = sources(surveyed().plan_with(RESOLVES, "pod-x"))
    assert "169.254.20.10/32" not in found
    assert "10.200.0.10/32" in found
