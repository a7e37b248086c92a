"""What is in a cluster before anybody has made anything: its node, namespaces, Services, and the user `dev`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

from kttun import __version__
from kttun.cluster.rbac import role_yaml
from kttun.sandbox.kinds import (
    CLUSTER_ROLE_BINDINGS,
    CLUSTER_ROLES,
    ENDPOINTS,
    NAMESPACES,
    NODES,
    RBAC_GROUP,
    ROLE_BINDINGS,
    ROLES,
    SERVICE_ACCOUNTS,
    SERVICE_CIDRS,
    SERVICES,
)
from kttun.sandbox.lifecycle import DEV
from kttun.sandbox.shape import API_PORT, NODE
from kttun.sandbox.store import timestamp
from kttun.sandbox.users import AUTHENTICATED

if TYPE_CHECKING:
    from kttun.sandbox.kinds import Kind
    from kttun.sandbox.shape import Shape

    Made = tuple[Kind, dict[str, Any]]

DEV_PLACE = "feature-1"
"""Where the user `dev` may do what `kttun rbac` prints, and nothing else."""

EVERYBODY = [
    {"apiGroups": ["authorization.k8s.io"], "resources": ["selfsubjectaccessreviews"], "verbs": ["create"]},
    {"nonResourceURLs": ["/version", "/api", "/api/*", "/apis", "/apis/*"], "verbs": ["get"]},
]
"""What every user may: ask what he may, and look what there is (in Kubernetes `system:basic-user` and
`system:discovery`)."""


def system(shape: Shape) -> list[Made]:
    """Give the objects of every sandbox, in the order in which they can be made."""
    name = {"name": "system:everybody"}
    ref = {"apiGroup": RBAC_GROUP, "kind": "ClusterRole", **name}
    subject = {"apiGroup": RBAC_GROUP, "kind": "Group", "name": AUTHENTICATED}
    return [
        *((NAMESPACES, {"metadata": {"name": place}}) for place in ("default", "kube-system")),
        (CLUSTER_ROLES, {"metadata": name, "rules": EVERYBODY}),
        (CLUSTER_ROLE_BINDINGS, {"metadata": name, "roleRef": ref, "subjects": [subject]}),
        (NODES, _node(shape)),
        (SERVICE_CIDRS, {"metadata": {"name": "kubernetes"}, "spec": {"cidrs": [str(shape.service_cidr)]}}),
        *_service("default", "kubernetes", str(shape.api_service), str(shape.node), ("https", 443, API_PORT, "TCP")),
        *_service(
            *("kube-system", "kube-dns", str(shape.dns_service), str(shape.gateway)),
            *(("dns", 53, 53, "UDP"), ("dns-tcp", 53, 53, "TCP")),
        ),
    ]


def developer() -> list[Made]:
    """Give the ServiceAccount `dev` and its Role, which is the one that `kttun rbac` prints."""
    user = f"system:serviceaccount:{DEV_PLACE}:{DEV}"
    role, binding = yaml.safe_load_all(role_yaml(["connect"], namespace=DEV_PLACE, user=user))
    account = {"metadata": {"name": DEV, "namespace": DEV_PLACE}}
    return [(SERVICE_ACCOUNTS, account), (ROLES, role), (ROLE_BINDINGS, binding)]


def _node(shape: Shape) -> dict[str, Any]:
    labels = {"kubernetes.io/hostname": NODE, "kubernetes.io/os": "linux"}
    ready = {"type": "Ready", "status": "True", "reason": "KubeletReady", "lastTransitionTime": timestamp()}
    addresses = [{"type": "InternalIP", "address": str(shape.node)}, {"type": "Hostname", "address": NODE}]
    about = {"kubeletVersion": f"v{__version__}", "containerRuntimeVersion": f"kttun://{__version__}"}
    return {
        "metadata": {"name": NODE, "labels": labels},
        "spec": {"podCIDR": str(shape.pods), "podCIDRs": [str(shape.pods)]},
        "status": {"conditions": [ready], "addresses": addresses, "nodeInfo": about},
    }


def _service(namespace: str, name: str, address: str, behind: str, *ports: tuple[str, int, int, str]) -> list[Made]:
    """Give a Service without selector, and its Endpoints with the one end behind it."""
    outer = [
        {"name": name, "port": port, "targetPort": target, "protocol": protocol}
        for name, port, target, protocol in ports
    ]
    inner = [{"name": name, "port": target, "protocol": protocol} for name, _, target, protocol in ports]
    meta = {"name": name, "namespace": namespace}
    subset = {"addresses": [{"ip": behind}], "ports": inner}
    return [
        (SERVICES, {"metadata": meta, "spec": {"clusterIP": address, "ports": outer}}),
        (ENDPOINTS, {"metadata": meta, "subsets": [subset]}),
    ]
