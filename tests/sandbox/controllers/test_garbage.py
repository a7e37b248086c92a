"""What goes with its owner or its namespace, and in which order."""

import pytest

from kttun.sandbox.controllers.garbage import GarbageCollector
from kttun.sandbox.kinds import CONFIG_MAPS, JOBS, NAMESPACES, PODS, SERVICE_ACCOUNTS
from kttun.sandbox.status import StatusError

SPEC = {"restartPolicy": "Never", "containers": [{"name": "main", "image": "demo:1"}]}


@pytest.fixture
def garbage(cluster):
    return GarbageCollector(cluster.store)


@pytest.fixture
def owner(cluster):
    meta = {"name": "owner", "namespace": "shop"}
    return cluster.create(JOBS, {"metadata": meta, "spec": {"template": {"spec": SPEC}}})


@pytest.fixture
def dependent(cluster, owner):
    reference = {"apiVersion": "batch/v1", "kind": "Job", "name": "owner", "uid": owner["metadata"]["uid"]}
    meta = {"name": "mine", "namespace": "shop", "ownerReferences": [reference | {"blockOwnerDeletion": True}]}
    return cluster.play(cluster.create(PODS, {"metadata": meta, "spec": SPEC}), "Running")


def test_what_has_an_owner_stays_as_long_as_it(cluster, garbage, dependent):
    garbage.sync()
    assert cluster.store.get(PODS, "shop", "mine") == dependent


@pytest.mark.usefixtures("dependent")
def test_a_dependent_goes_after_its_owner(cluster, garbage):
    cluster.store.delete(JOBS, "shop", "owner")
    assert cluster.names(JOBS) == []
    garbage.sync()
    assert "deletionTimestamp" in cluster.store.get(PODS, "shop", "mine")["metadata"]


@pytest.mark.usefixtures("dependent")
def test_a_namespace_goes_when_it_is_empty(cluster, garbage):
    cluster.create(CONFIG_MAPS, {"metadata": {"name": "c", "namespace": "shop"}})
    cluster.store.delete(NAMESPACES, "", "shop")
    garbage.sync()
    garbage.sync()
    assert (cluster.names(CONFIG_MAPS), cluster.names(SERVICE_ACCOUNTS)) == ([], [])
    assert cluster.store.get(NAMESPACES, "", "shop")["status"]["phase"] == "Terminating"
    cluster.store.remove(PODS, "shop", "mine")
    garbage.sync()
    with pytest.raises(StatusError):
        cluster.store.get(NAMESPACES, "", "shop")
