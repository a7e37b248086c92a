"""A cluster whose pod range contains its own API server: the tunnel must not swallow the line that carries it."""

from __future__ import annotations

import pytest

from .lab import LAB, api_address, pods, wait_until_gone

pytestmark = [pytest.mark.cluster, pytest.mark.reshapes]

SESSION = "overlap"


@pytest.fixture
def overlapping():
    """The API server inside the pod range and behind the laptop's default gateway; afterwards the cluster as it was."""
    with LAB.provider.reshaped(node_net="10.244.200.0/24", pod_cidr="10.244.0.0/16"):
        LAB.prepare()
        yield
    LAB.prepare()


@pytest.mark.timeout(240)
@pytest.mark.usefixtures("overlapping")
def test_a_session_stays_up_with_the_api_server_inside_the_pod_range(dev):
    with dev.connected("feature-1", "--session", SESSION, "--pod-cidr", "10.244.0.0/16"):
        interface = dev.status(SESSION)["interface"]
        assert dev.device_of("10.244.201.1") == dev.device_of("10.244.199.1") == interface
        assert dev.device_of(api_address()) != interface
        same = dev.client("uploads", f"http://{pods('ends')[0]}:8080/sha256", 4, 10_000_000)
        assert same == [{"bytes": 10_000_000, "same": True}] * 4
        assert dev.output("kubectl", "get", "pods", "-n", "feature-1", "-o", "name")
        assert (dev.status(SESSION)["state"], dev.status(SESSION)["resumes"]) == ("open", 0)
    wait_until_gone("feature-1", SESSION)
