from ipaddress import ip_address, ip_network

import pytest
from fakes.kube import Refusal, denied
from hypothesis import given
from hypothesis import strategies as st

from kttun.cluster.login import log_in
from kttun.cluster.rest import Rest
from kttun.cluster.service_range import service_ranges, widest
from kttun.config import ClusterChoice

SERVICES = "/api/v1/namespaces/team/services"
CIDRS = "/apis/networking.k8s.io/v1/servicecidrs"


@pytest.fixture
def rest(kube, write_kubeconfig):
    kube.script["GET", CIDRS] = denied("list", "servicecidrs", "networking.k8s.io")
    return Rest(log_in(ClusterChoice(kubeconfig=write_kubeconfig(kube.url)), {}).api)


class Allocator:
    """Allocates cluster IPs as an API server does; `talkative` ones name the range when they refuse."""

    def __init__(self, *cidrs, talkative, taken=()):
        self.networks = [ip_network(cidr) for cidr in cidrs]
        self.talkative, self.taken = talkative, taken
        self.turn = 0
        self.probes = 0

    def __call__(self, call):
        assert call.query["dryRun"] == "All"
        self.probes += 1
        (family,) = call.body["spec"]["ipFamilies"]
        networks = [network for network in self.networks if f"IPv{network.version}" == family]
        if not networks:
            raise Refusal(
                422, f"spec.ipFamilies[0]: Invalid value: {family} is not configured on this cluster", "Invalid"
            )
        wanted = call.body["spec"].get("clusterIP")
        if wanted is None:
            self.turn += 1
            wanted = str(networks[self.turn % len(networks)].network_address)
        elif not any(ip_address(wanted) in network for network in networks):
            told = (
                f"The range of valid IPs is {networks[0]}" if self.talkative else "it does not match the current range"
            )
            raise Refusal(422, f"failed to allocate IP {wanted}: {told}", "Invalid")
        elif wanted in self.taken:
            raise Refusal(422, "failed to allocate IP: provided IP is already allocated", "Invalid")
        return {"spec": {"clusterIP": wanted}}


def told(found):
    return {(str(route.cidr), route.source) for route in found[0]}


def test_a_talkative_api_server_needs_one_question_a_family(kube, rest):
    allocator = kube.script["POST", SERVICES] = Allocator("10.96.0.0/12", "fd00:96::/112", talkative=True)
    assert told(service_ranges(rest, "team")) == {
        ("10.96.0.0/12", "answer to a dry run"),
        ("fd00:96::/112", "answer to a dry run"),
    }
    assert allocator.probes == 2


def test_a_family_that_is_not_configured_is_left_out(kube, rest):
    kube.script["POST", SERVICES] = Allocator("10.96.0.0/12", talkative=True)
    assert told(service_ranges(rest, "team")) == {("10.96.0.0/12", "answer to a dry run")}


def test_a_silent_api_server_is_searched_with_few_questions(kube, rest):
    allocator = Allocator("10.43.0.0/16", "fd00:96::/108", talkative=False, taken={"10.43.0.1"})
    kube.script["POST", SERVICES] = allocator
    assert told(service_ranges(rest, "team")) == {("10.43.0.0/16", "dry runs"), ("fd00:96::/108", "dry runs")}
    assert allocator.probes < 22


def test_several_ranges_are_found_by_asking_again(kube, rest):
    kube.script["POST", SERVICES] = Allocator("10.43.0.0/24", "172.20.0.0/20", talkative=False)
    assert told(service_ranges(rest, "team")) == {("10.43.0.0/24", "dry runs"), ("172.20.0.0/20", "dry runs")}


@pytest.mark.parametrize("told_range", ["0.0.0.0/0", "10.0.0.0/4", "nonsense"])
def test_a_range_that_cannot_be_is_not_believed(told_range, kube, rest):
    kube.script["POST", SERVICES] = Refusal(422, f"The range of valid IPs is {told_range}", "Invalid")
    found, notes = service_ranges(rest, "team")
    assert found == ()
    assert len(notes) == 2


@pytest.mark.parametrize("status", [400, 403, 500])
def test_an_admission_that_refuses_dry_runs_is_noted_with_its_words(status, kube, rest):
    kube.script["POST", SERVICES] = Refusal(status, 'admission webhook "policy" denied the request: no LoadBalancer')
    found, notes = service_ranges(rest, "team")
    assert found == ()
    assert "denied the request" in notes[1]


@given(
    address=st.ip_addresses(v=4) | st.ip_addresses(v=6),
    bits=st.integers(2, 24),
    mask=st.integers(0, 2**24),
)
def test_the_search_finds_every_range_from_any_address_inside(address, bits, mask):
    network = ip_network((address, address.max_prefixlen - bits), strict=False)
    member = type(address)(int(network.network_address) + mask % network.num_addresses)
    edges = {network.network_address, network.broadcast_address}
    assert widest(member, lambda probe: probe in network and probe not in edges) == network
