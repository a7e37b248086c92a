from ipaddress import ip_address, ip_network

import pytest
from fakes.kube import Refusal, denied

from kttun.cluster.discovery import api_addresses, discover
from kttun.cluster.errors import UnauthorizedError, UnreachableError
from kttun.cluster.login import log_in
from kttun.config import ApiEndpoint, ClusterChoice, HttpProxy, RouteChoice, RoutesMode
from kttun.errors import EnvironmentFaultError

SERVICES = "/api/v1/namespaces/team/services"
PODS = "/api/v1/namespaces/team/pods"
CIDRS = "/apis/networking.k8s.io/v1/servicecidrs"


def listed(*items):
    return {"items": list(items), "metadata": {}}


def named(name, **parts):
    return {"metadata": {"name": name}, **parts}


def pod(name, *addresses, phase="Running", **spec):
    return named(name, spec=spec, status={"phase": phase, "podIPs": [{"ip": address} for address in addresses]})


@pytest.fixture
def login(kube, write_kubeconfig):
    return log_in(ClusterChoice(kubeconfig=write_kubeconfig(kube.url)), {})


@pytest.fixture
def open_cluster(kube):
    """A cluster whose user may read everything."""
    kube.script["GET", CIDRS] = listed(named("kubernetes", spec={"cidrs": ["10.96.0.0/16", "fd00:96::/112"]}))
    kube.script["GET", "/api/v1/nodes"] = listed(named("n1", spec={"podCIDRs": ["10.244.0.0/24", "fd00:244::/64"]}))
    kube.script["GET", PODS] = listed(pod("web", "10.244.0.7"))
    return kube


@pytest.fixture
def closed_cluster(kube):
    """A cluster whose user may do nothing but list pods and Services of his namespace."""
    kube.script["GET", CIDRS] = denied("list", "servicecidrs", "networking.k8s.io")
    kube.script["GET", "/api/v1/nodes"] = denied("list", "nodes")
    kube.script["POST", SERVICES] = denied("create", "services", "", "team")
    kube.script["GET", SERVICES] = listed(
        named("web", spec={"clusterIP": "10.96.3.4", "clusterIPs": ["10.96.3.4", "fd00:96::7"]}),
        named("old", spec={"clusterIP": "10.96.3.5"}),
        named("headless", spec={"clusterIP": "None", "clusterIPs": ["None"]}),
        named("external", spec={"externalName": "example.org"}),
    )
    kube.script["GET", PODS] = listed(
        pod("web", "10.244.0.7", "fd00:244::7"),
        pod("agent", "192.168.1.10", hostNetwork=True),
        pod("done", "10.244.0.8", phase="Succeeded"),
        pod("starting"),
    )
    return kube


def told(routes):
    return [(str(route.cidr), route.source) for route in routes]


def test_objects_and_nodes_tell_the_ranges(login, open_cluster):
    found = discover(login, RouteChoice())
    assert told(found.services) == [
        ("10.96.0.0/16", "ServiceCIDR kubernetes"),
        ("fd00:96::/112", "ServiceCIDR kubernetes"),
    ]
    assert told(found.pods) == [("10.244.0.0/24", "podCIDR of node n1"), ("fd00:244::/64", "podCIDR of node n1")]
    assert found.notes == ()


def test_the_beta_of_service_cidrs_is_read_where_v1_is_not_there(login, open_cluster):
    del open_cluster.script["GET", CIDRS]
    beta = listed(named("old", spec={"cidrs": ["10.0.0.0/24"]}))
    open_cluster.script["GET", CIDRS.replace("/v1/", "/v1beta1/")] = beta
    assert told(discover(login, RouteChoice()).services) == [("10.0.0.0/24", "ServiceCIDR old")]


def test_lists_are_read_page_by_page(login, open_cluster):
    def page(call):
        start = int(call.query.get("continue", 0))
        more = {"continue": str(start + 1)} if start < 3 else {}
        return {"items": [named(f"n{start}", spec={"podCIDRs": [f"10.244.{start}.0/24"]})], "metadata": more}

    open_cluster.script["GET", "/api/v1/nodes"] = page
    assert len(discover(login, RouteChoice()).pods) == 4
    assert all(call.query["limit"] == "500" for call in open_cluster.asked("GET", "/api/v1/nodes"))


def test_without_rights_the_addresses_of_the_namespace_are_taken(login, closed_cluster):
    found = discover(login, RouteChoice())
    assert told(found.services) == [
        ("10.96.3.4/32", "Service web"),
        ("fd00:96::7/128", "Service web"),
        ("10.96.3.5/32", "Service old"),
    ]
    assert told(found.pods) == [("10.244.0.7/32", "pod web"), ("fd00:244::7/128", "pod web")]
    assert any("may not list nodes" in note for note in found.notes)
    assert any("only the addresses of the Services of team" in note for note in found.notes)


def test_without_any_rights_there_are_only_notes(login, kube):
    for method, path in (
        ("GET", CIDRS),
        ("GET", "/api/v1/nodes"),
        ("POST", SERVICES),
        ("GET", SERVICES),
        ("GET", PODS),
    ):
        kube.script[method, path] = denied("do", "things")
    found = discover(login, RouteChoice())
    assert (found.services, found.pods) == ((), ())
    assert len(found.notes) == 5


def test_addresses_mode_asks_for_no_range(login, closed_cluster):
    found = discover(login, RouteChoice(mode=RoutesMode.ADDRESSES))
    assert [each.cidr.prefixlen for each in found.services] == [32, 128, 32]
    assert {call.path for call in closed_cluster.calls} == {SERVICES, PODS}


def test_what_the_user_names_is_not_asked_for(login, kube):
    choice = RouteChoice(service_cidrs=(ip_network("10.0.0.0/8"),), pod_cidrs=(ip_network("10.0.0.0/8"),))
    found = discover(login, choice)
    assert (found.services, found.pods, found.notes, kube.calls) == ((), (), (), [])


def test_pods_that_stand_outside_the_nodes_ranges_unmask_a_network_plugin_of_its_own(login, open_cluster):
    open_cluster.script["GET", PODS] = listed(pod("a", "192.168.5.5"), pod("b", "192.168.5.6"))
    found = discover(login, RouteChoice())
    assert told(found.pods) == [("192.168.5.5/32", "pod a"), ("192.168.5.6/32", "pod b")]
    assert "the network plug-in has its own" in found.notes[-1]


def test_a_single_pod_outside_is_added_to_the_ranges(login, open_cluster):
    open_cluster.script["GET", PODS] = listed(pod("a", "10.244.0.5"), pod("b", "192.168.5.6"))
    assert [str(route.cidr) for route in discover(login, RouteChoice()).pods] == [
        "10.244.0.0/24",
        "fd00:244::/64",
        "192.168.5.6/32",
    ]


def test_nodes_without_pod_cidrs_fall_back_to_pods(login, open_cluster):
    open_cluster.script["GET", "/api/v1/nodes"] = listed(named("n1", spec={}))
    found = discover(login, RouteChoice())
    assert told(found.pods) == [("10.244.0.7/32", "pod web")]
    assert "the nodes have no podCIDRs" in found.notes


def test_refused_credentials_end_discovery(login, kube):
    kube.script["GET", CIDRS] = kube.script["POST", SERVICES] = Refusal(401, "Unauthorized")
    kube.script["GET", SERVICES] = kube.script["GET", PODS] = kube.script["GET", "/api/v1/nodes"] = Refusal(401, "no")
    with pytest.raises(UnauthorizedError, match="credentials"):
        discover(login, RouteChoice())


def test_a_dead_server_ends_discovery(kube, write_kubeconfig):
    login = log_in(ClusterChoice(kubeconfig=write_kubeconfig("http://127.0.0.1:9")), {})
    with pytest.raises(UnreachableError):
        discover(login, RouteChoice())


def endpoint(host, proxy=None):
    return ApiEndpoint(host, 6443, "", None, host, HttpProxy(proxy, 3128) if proxy else None, dict)


def test_the_addresses_of_server_and_proxy_are_all_given():
    assert api_addresses(endpoint("127.0.0.1")) == (ip_address("127.0.0.1"),)
    assert api_addresses(endpoint("fd00::1", proxy="127.0.0.9")) == (ip_address("127.0.0.9"), ip_address("fd00::1"))
    assert ip_address("127.0.0.1") in api_addresses(endpoint("localhost"))


def test_a_name_that_only_the_proxy_knows_is_no_error():
    assert api_addresses(endpoint("api.invalid", proxy="127.0.0.9")) == (ip_address("127.0.0.9"),)
    with pytest.raises(EnvironmentFaultError, match=r"api\.invalid"):
        api_addresses(endpoint("api.invalid"))
