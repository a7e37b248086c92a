"""The objects of the example namespaces: two namespaces with the same Services, and who may work in the first."""

from __future__ import annotations

from typing import Any

from kttun.sandbox.examples.rpc import PORT as GRPC
from kttun.sandbox.examples.servers import ECHO_PORT as ECHO
from kttun.sandbox.examples.servers import HTTP_PORT as HTTP
from kttun.sandbox.images import EXAMPLE
from kttun.sandbox.kinds import DEPLOYMENTS, NAMESPACES, SERVICES, Kind

Object = dict[str, Any]

PLACES = ("feature-1", "feature-2")


def namespaces() -> list[tuple[Kind, Object]]:
    """Give the namespaces; gateways need NET_ADMIN, which Pod Security admits at level privileged only."""
    labels = {"pod-security.kubernetes.io/enforce": "privileged"}
    return [(NAMESPACES, {"metadata": {"name": name, "labels": labels}}) for name in PLACES]


def workloads() -> list[tuple[Kind, Object]]:
    """Give what runs in each of them."""
    return [
        each
        for namespace in PLACES
        for each in (
            _deployment(namespace, "web", HTTP, replicas=2),
            _service(namespace, "web", {"name": "http", "port": 80, "targetPort": HTTP}),
            _service(namespace, "web-headless", {"name": "http", "port": HTTP}, app="web", clusterIP="None"),
            _deployment(namespace, "websocket", HTTP),
            _service(namespace, "websocket", {"name": "http", "port": 80, "targetPort": HTTP}),
            _deployment(namespace, "tcp-echo", ECHO),
            _service(namespace, "tcp-echo", {"name": "echo", "port": ECHO}),
            _deployment(namespace, "udp-echo", None),
            _service(namespace, "udp-echo", {"name": "echo", "port": ECHO, "protocol": "UDP"}),
            _deployment(namespace, "grpc", GRPC),
            _service(namespace, "grpc", {"name": "grpc", "port": GRPC, "appProtocol": "grpc"}),
        )
    ]


def _deployment(namespace: str, name: str, probed: int | None, replicas: int = 1) -> tuple[Kind, Object]:
    container: Object = {"name": name, "image": f"{EXAMPLE}/{name}:1"}
    if probed is not None:
        container["readinessProbe"] = {"tcpSocket": {"port": probed}, "periodSeconds": 5}
    labels = {"app": name}
    spec = {"terminationGracePeriodSeconds": 1, "containers": [container]}
    return DEPLOYMENTS, {
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": spec},
        },
    }


def _service(namespace: str, name: str, port: Object, app: str = "", **more: str) -> tuple[Kind, Object]:
    meta = {"name": name, "namespace": namespace, "labels": {"app": app or name}}
    return SERVICES, {"metadata": meta, "spec": {"selector": {"app": app or name}, "ports": [port], **more}}
