"""A store with a namespace, its node, and somebody who plays the kubelet."""

from ipaddress import IPv4Network

import pytest

from kttun.sandbox.kinds import NAMESPACES, NODES, PODS
from kttun.sandbox.registry import Registry
from kttun.sandbox.store import Store

PRIVILEGED = {"pod-security.kubernetes.io/enforce": "privileged"}


class Cluster:
    """The API's half of a cluster, in which pods do as the test says."""

    def __init__(self):
        self.store = Store()
        self._registry = Registry(self.store, IPv4Network("10.96.0.0/16"))
        self.create(NAMESPACES, {"metadata": {"name": "shop", "labels": PRIVILEGED}})
        self.create(NODES, {"metadata": {"name": "sandbox", "labels": {"disk": "slow"}}})

    def create(self, kind, obj):
        return self._registry.create(kind, obj)

    def pods(self):
        return self.store.list(PODS, "shop")

    def names(self, kind, namespace="shop"):
        return [each["metadata"]["name"] for each in self.store.list(kind, namespace)]

    def play(self, pod, phase, *, ready=False, address=None):
        """Let a pod be in a phase, as its kubelet would report it."""

        def change(made):
            made["spec"]["nodeName"] = "sandbox"
            made["status"] = {
                "phase": phase,
                "conditions": [{"type": "Ready", "status": str(ready)}],
                **({"podIP": address} if address else {}),
            }

        return self.store.update(PODS, "shop", pod["metadata"]["name"], change)


@pytest.fixture
def cluster():
    return Cluster()
