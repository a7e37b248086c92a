"""What a new cluster holds."""

from ipaddress import IPv4Network

import pytest
import yaml

from kttun.cluster.rbac import role_yaml
from kttun.sandbox.bootstrap import developer, system
from kttun.sandbox.examples import objects
from kttun.sandbox.kinds import NODES, ROLE_BINDINGS, ROLES, SERVICE_CIDRS, SERVICES
from kttun.sandbox.registry import Registry
from kttun.sandbox.shape import Shape
from kttun.sandbox.store import Store

SHAPE = Shape(*map(IPv4Network, ("172.30.0.0/24", "10.244.0.0/16", "10.96.0.0/16")))


@pytest.fixture
def store():
    made = Store()
    registry = Registry(made, SHAPE.service_cidr)
    for kind, obj in [*system(SHAPE), *objects.namespaces(), *developer(), *objects.workloads()]:
        registry.create(kind, obj)
    return made


def test_the_developer_has_what_kttun_rbac_prints_and_nothing_else(store):
    user = "system:serviceaccount:feature-1:dev"
    role, binding = yaml.safe_load_all(role_yaml(["connect"], namespace="feature-1", user=user))
    assert [each["rules"] for each in store.list(ROLES)] == [role["rules"]]
    assert [each["subjects"] for each in store.list(ROLE_BINDINGS)] == [binding["subjects"]]


def test_the_cluster_tells_its_networks(store):
    assert store.list(SERVICE_CIDRS)[0]["spec"]["cidrs"] == ["10.96.0.0/16"]
    assert store.list(NODES)[0]["spec"]["podCIDRs"] == ["10.244.0.0/24"]


def test_its_own_services_are_where_pods_look_for_them(store):
    found = {each["metadata"]["name"]: each["spec"]["clusterIP"] for each in store.list(SERVICES)}
    assert (found["kubernetes"], found["kube-dns"]) == ("10.96.0.1", "10.96.0.10")


def test_both_example_namespaces_have_the_same_services(store):
    first, second = (
        {each["metadata"]["name"] for each in store.list(SERVICES, place)} for place in ("feature-1", "feature-2")
    )
    assert first == second == {"web", "web-headless", "websocket", "tcp-echo", "udp-echo", "grpc"}
