"""Deployments: so many pods, and no others."""

import pytest

from kttun.sandbox.controllers.deployments import DeploymentController
from kttun.sandbox.kinds import DEPLOYMENTS, PODS

LABELS = {"app": "web"}


@pytest.fixture
def deployments(cluster):
    spec = {"containers": [{"name": "web", "image": "demo:1"}]}
    cluster.create(
        DEPLOYMENTS,
        {
            "metadata": {"name": "web", "namespace": "shop"},
            "spec": {
                "replicas": 2,
                "selector": {"matchLabels": LABELS},
                "template": {"metadata": {"labels": LABELS}, "spec": spec},
            },
        },
    )
    return DeploymentController(cluster.store, cluster.create)


def change(cluster, alter):
    cluster.store.update(DEPLOYMENTS, "shop", "web", alter)


def living(cluster):
    return [pod for pod in cluster.pods() if "deletionTimestamp" not in pod["metadata"]]


def test_missing_pods_are_made_and_status_counts_the_ready_ones(cluster, deployments):
    deployments.sync()
    deployments.sync()
    assert len(cluster.pods()) == 2
    cluster.play(cluster.pods()[0], "Running", ready=True)
    deployments.sync()
    status = cluster.store.get(DEPLOYMENTS, "shop", "web")["status"]
    assert (status["replicas"], status["readyReplicas"], status["availableReplicas"]) == (2, 1, 1)


def test_a_pod_that_goes_is_replaced(cluster, deployments):
    deployments.sync()
    gone = cluster.pods()[0]["metadata"]["name"]
    cluster.store.delete(PODS, "shop", gone)
    deployments.sync()
    assert len(cluster.pods()) == 2
    assert gone not in [pod["metadata"]["name"] for pod in cluster.pods()]


def test_surplus_pods_go_those_that_are_not_ready_first(cluster, deployments):
    deployments.sync()
    ready = cluster.play(cluster.pods()[1], "Running", ready=True)
    change(cluster, lambda made: made["spec"].update(replicas=1))
    deployments.sync()
    assert [pod["metadata"]["name"] for pod in living(cluster)] == [ready["metadata"]["name"]]
