"""Endpoints: the ready pods of a Service, by the numbers that its ports have in them."""

import pytest

from kttun.sandbox.controllers.endpoints import EndpointsController
from kttun.sandbox.kinds import ENDPOINTS, PODS, SERVICES
from kttun.sandbox.proxy import ServicePort, service_ports


@pytest.fixture
def endpoints(cluster):
    return EndpointsController(cluster.store)


@pytest.fixture
def pod(cluster):
    def make(name, address, *, ready=True, port=8080):
        container = {"name": "web", "image": "demo:1", "ports": [{"name": "http", "containerPort": port}]}
        meta = {"name": name, "namespace": "shop", "labels": {"app": "web"}}
        made = cluster.create(PODS, {"metadata": meta, "spec": {"containers": [container]}})
        return cluster.play(made, "Running", ready=ready, address=address)

    return make


@pytest.fixture
def service(cluster):
    def make(**spec):
        ports = [{"name": "http", "port": 80, "targetPort": "http"}]
        meta = {"name": "web", "namespace": "shop"}
        return cluster.create(SERVICES, {"metadata": meta, "spec": {"ports": ports, **spec}})

    return make


def test_ready_pods_are_behind_their_service(cluster, endpoints, pod, service):
    address = service(selector={"app": "web"})["spec"]["clusterIP"]
    pod("a", "10.244.0.2")
    pod("b", "10.244.0.3", ready=False)
    endpoints.sync()
    (subset,) = cluster.store.get(ENDPOINTS, "shop", "web")["subsets"]
    assert [each["ip"] for each in subset["addresses"]] == ["10.244.0.2"]
    assert service_ports(cluster.store) == [ServicePort(address, "tcp", 80, (("10.244.0.2", 8080),))]


def test_endpoints_that_somebody_gave_stay(cluster, endpoints, service):
    address = service()["spec"]["clusterIP"]
    subset = {"addresses": [{"ip": "172.30.0.9"}], "ports": [{"name": "http", "port": 7000}]}
    cluster.create(ENDPOINTS, {"metadata": {"name": "web", "namespace": "shop"}, "subsets": [subset]})
    endpoints.sync()
    assert service_ports(cluster.store) == [ServicePort(address, "tcp", 80, (("172.30.0.9", 7000),))]


def test_a_pod_that_ends_or_goes_leaves(cluster, endpoints, pod, service):
    address = service(selector={"app": "web"})["spec"]["clusterIP"]
    cluster.play(pod("a", "10.244.0.2"), "Succeeded", address="10.244.0.2")
    cluster.store.delete(PODS, "shop", pod("b", "10.244.0.3")["metadata"]["name"])
    endpoints.sync()
    assert cluster.store.get(ENDPOINTS, "shop", "web")["subsets"] == []
    assert service_ports(cluster.store) == [ServicePort(address, "tcp", 80, ())]


def test_ends_and_ports_that_the_node_cannot_serve_are_left_out(cluster):
    ports = [{"port": 80}, {"port": 81, "protocol": "SCTP"}]
    meta = {"name": "odd", "namespace": "shop"}
    address = cluster.create(SERVICES, {"metadata": meta, "spec": {"ports": ports}})["spec"]["clusterIP"]
    addresses = [{"ip": "fd00::1"}, {"ip": "1; flush ruleset"}, {"ip": "10.244.0.9"}]
    cluster.create(ENDPOINTS, {"metadata": meta, "subsets": [{"addresses": addresses, "ports": [{"port": 8080}]}]})
    assert service_ports(cluster.store) == [ServicePort(address, "tcp", 80, (("10.244.0.9", 8080),))]


def test_nothing_is_written_when_nothing_has_changed(cluster, endpoints, pod, service):
    service(selector={"app": "web"})
    pod("a", "10.244.0.2")
    endpoints.sync()
    before = cluster.store.revision
    endpoints.sync()
    assert cluster.store.revision == before
