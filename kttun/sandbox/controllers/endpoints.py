"""Which pods stand behind each Service: Endpoints and an EndpointSlice (Kubernetes "Service", "EndpointSlices").

A Service without selector keeps the slices that somebody gave it. All pods of a Service have the same port numbers:
those that its first pod has.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kttun.sandbox.controllers.deployments import is_ready
from kttun.sandbox.controllers.loop import reference
from kttun.sandbox.kinds import ENDPOINT_SLICES, ENDPOINTS, PODS, SERVICES
from kttun.sandbox.probe import port_number
from kttun.sandbox.selectors import labels_of
from kttun.sandbox.store import FINISHED

if TYPE_CHECKING:
    from kttun.sandbox.kinds import Kind
    from kttun.sandbox.store import Object, Store

SERVICE_NAME = "kubernetes.io/service-name"
"""The label by which a slice belongs to a Service."""


class EndpointsController:
    """Keeps Endpoints and one slice, both of the Service's name, for each Service that selects pods."""

    kinds = (SERVICES, PODS)

    def __init__(self, store: Store) -> None:
        self._store = store

    def sync(self) -> None:
        """Compute what stands behind each Service and write what has changed."""
        pods = [pod for pod in self._store.list(PODS) if _counts(pod)]
        for service in self._store.list(SERVICES):
            if selector := service["spec"].get("selector"):
                found = [pod for pod in pods if _selected(pod, service["metadata"]["namespace"], selector)]
                ports = _ports(service, found[0]) if found else []
                self._put(ENDPOINT_SLICES, service, _slice(found, ports))
                self._put(ENDPOINTS, service, _endpoints(found, ports))

    def _put(self, kind: Kind, service: Object, content: Object) -> None:
        name, namespace = service["metadata"]["name"], service["metadata"]["namespace"]
        old = self._store.find(kind, namespace, name)
        if old is None:
            meta = {"name": name, "namespace": namespace, "labels": {SERVICE_NAME: name}}
            self._store.create(
                kind, {"metadata": meta | {"ownerReferences": [reference(SERVICES, service)]}, **content}
            )
        else:
            self._store.replace(kind, old | content)


def _counts(pod: Object) -> bool:
    status = pod.get("status") or {}
    return (
        bool(status.get("podIP")) and status.get("phase") not in FINISHED and "deletionTimestamp" not in pod["metadata"]
    )


def _selected(pod: Object, namespace: str, selector: dict[str, str]) -> bool:
    return pod["metadata"]["namespace"] == namespace and selector.items() <= labels_of(pod).items()


def _ports(service: Object, pod: Object) -> list[dict[str, Any]]:
    """Give the Service's ports as the pod's numbers; one that the pod does not name is left out."""
    return [
        {"name": each.get("name", ""), "port": number, "protocol": each["protocol"]}
        for each in service["spec"].get("ports") or ()
        if (
            number := next(filter(None, (port_number(one, each["targetPort"]) for one in pod["spec"]["containers"])), 0)
        )
    ]


def _slice(pods: list[Object], ports: list[dict[str, Any]]) -> Object:
    ends = [
        {
            "addresses": [pod["status"]["podIP"]],
            "conditions": {"ready": is_ready(pod)},
            "targetRef": {"kind": "Pod", "name": pod["metadata"]["name"], "namespace": pod["metadata"]["namespace"]},
            **({"hostname": pod["spec"]["hostname"]} if pod["spec"].get("hostname") else {}),
        }
        for pod in pods
    ]
    return {"addressType": "IPv4", "endpoints": ends, "ports": ports}


def _endpoints(pods: list[Object], ports: list[dict[str, Any]]) -> Object:
    """Give what stands in Endpoints, which show people the ready pods."""
    ready = [{"ip": pod["status"]["podIP"]} for pod in pods if is_ready(pod)]
    return {"subsets": [{"addresses": ready, "ports": ports}] if ready else []}
