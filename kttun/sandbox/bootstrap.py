"""What is in a cluster before anybody has made anything: its node, namespaces, Services, and the user `dev`."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING, Any

import yaml

from kttun import __version__
from kttun.cluster.rbac import role_yaml
from kttun.sandbox.kinds import (
    ENDPOINTS,
    NAMESPACES,
    NODES,
    SERVICE_ACCOUNTS,
    SERVICE_CIDRS,
    SERVICES,
    kind_named,
)
from kttun.sandbox.lifecycle import DEV
from kttun.sandbox.shape import API_PORT, NODE
from kttun.sandbox.store import timestamp
from kttun.sandbox.system_roles import system_roles

if TYPE_CHECKING:
    from kttun.sandbox.kinds import Kind
    from kttun.sandbox.shape import Shape

    Made = tuple[Kind, dict[str, Any]]

DEV_PLACE = "feature-1"
"""Where the user `dev` may do what `kttun rbac` prints, and nothing else."""


def system(shape: Shape) -> list[Made]:
    """Give the objects of every sandbox, in the order in which they can be made."""
    return [
        *((NAMESPACES, {"metadata": {"name": name}}) for name in ("default", "kube-system", "kube-public")),
        *system_roles(),
        (NODES, _node(shape)),
        (SERVICE_CIDRS, {"metadata": {"name": "kubernetes"}, "spec": {"cidrs": [str(shape.service_cidr)]}}),
        *_service(
            {"name": "kubernetes", "namespace": "default"},
            address=str(shape.api_service),
            behind=str(shape.node),
            ports=[("https", 443, API_PORT, "TCP")],
        ),
        *_service(
            {"name": "kube-dns", "namespace": "kube-system", "labels": {"k8s-app": "kube-dns"}},
            address=str(shape.dns_service),
            behind=str(shape.gateway),
            ports=[("dns", 53, 53, "UDP"), ("dns-tcp", 53, 53, "TCP")],
        ),
    ]


def developer() -> list[Made]:
    """Give the ServiceAccount `dev` and its Role, which is the one that `kttun rbac` prints."""
    user = f"system:serviceaccount:{DEV_PLACE}:{DEV}"
    found: list[Made] = [(SERVICE_ACCOUNTS, {"metadata": {"name": DEV, "namespace": DEV_PLACE}})]
    for document in yaml.safe_load_all(role_yaml(["connect"], namespace=DEV_PLACE, user=user)):
        kind = kind_named(document["apiVersion"], document["kind"])
        assert kind is not None  # noqa: S101 - the store has Roles and RoleBindings
        found.append((kind, document))
    return found


def _node(shape: Shape) -> dict[str, Any]:
    labels = {"kubernetes.io/hostname": NODE, "kubernetes.io/os": "linux", "node-role.kubernetes.io/control-plane": ""}
    ready = {"type": "Ready", "status": "True", "reason": "KubeletReady", "lastTransitionTime": timestamp()}
    addresses = [{"type": "InternalIP", "address": str(shape.node)}, {"type": "Hostname", "address": NODE}]
    about = {
        "kubeletVersion": f"v{__version__}",
        "containerRuntimeVersion": f"kttun://{__version__}",
        "kernelVersion": platform.release(),
        "operatingSystem": "linux",
        "architecture": platform.machine(),
        "osImage": "kttun sandbox",
    }
    return {
        "metadata": {"name": NODE, "labels": labels},
        "spec": {"podCIDR": str(shape.pods), "podCIDRs": [str(shape.pods)]},
        "status": {"conditions": [ready], "addresses": addresses, "nodeInfo": about},
    }


def _service(meta: dict[str, Any], *, address: str, behind: str, ports: list[tuple[str, int, int, str]]) -> list[Made]:
    """Give a Service without selector, and the one end behind it."""
    outer = [
        {"name": name, "port": port, "targetPort": target, "protocol": protocol}
        for name, port, target, protocol in ports
    ]
    inner = [{"name": name, "port": target, "protocol": protocol} for name, _, target, protocol in ports]
    return [
        (SERVICES, {"metadata": meta, "spec": {"clusterIP": address, "ports": outer}}),
        (ENDPOINTS, {"metadata": dict(meta), "subsets": [{"addresses": [{"ip": behind}], "ports": inner}]}),
    ]
