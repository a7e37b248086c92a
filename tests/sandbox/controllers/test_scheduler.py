"""The scheduler: a pod goes to the one node, or says why not, once."""

import pytest

from kttun.sandbox.controllers.scheduler import NO_NODE, Scheduler
from kttun.sandbox.kinds import EVENTS, NODES, PODS


@pytest.fixture
def scheduler(cluster):
    return Scheduler(cluster.store)


@pytest.fixture
def pod(cluster):
    def make(**spec):
        containers = [{"name": "main", "image": "demo:1"}]
        return cluster.create(
            PODS, {"metadata": {"name": "p", "namespace": "shop"}, "spec": {"containers": containers, **spec}}
        )

    return make


def told(cluster):
    return [(each["reason"], each["message"], each["count"]) for each in cluster.store.list(EVENTS)]


def test_a_pod_gets_the_node_whose_labels_it_wants(cluster, scheduler, pod):
    pod(nodeSelector={"disk": "slow"})
    scheduler.sync()
    assert cluster.pods()[0]["spec"]["nodeName"] == "sandbox"
    assert told(cluster) == []


def test_a_pod_that_fits_nowhere_waits_and_says_so_once(cluster, scheduler, pod):
    pod(nodeSelector={"disk": "golden"})
    scheduler.sync()
    scheduler.sync()
    (found,) = cluster.pods()
    (condition,) = found["status"]["conditions"]
    assert "nodeName" not in found["spec"]
    assert (condition["type"], condition["status"], condition["message"]) == ("PodScheduled", "False", NO_NODE)
    assert told(cluster) == [("FailedScheduling", NO_NODE, 1)]


def test_it_goes_when_the_node_changes(cluster, scheduler, pod):
    pod(nodeSelector={"disk": "golden"})
    scheduler.sync()
    cluster.store.update(NODES, "", "sandbox", lambda made: made["metadata"]["labels"].update(disk="golden"))
    scheduler.sync()
    assert cluster.pods()[0]["spec"]["nodeName"] == "sandbox"
