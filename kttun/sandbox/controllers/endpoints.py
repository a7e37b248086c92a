"""Which pods stand behind each Service: its Endpoints, which names and Service addresses follow (Kubernetes "Service").

A Service without selector keeps the Endpoints that somebody gave it. All pods of a Service have the same port numbers:
those that its first pod has. There are no EndpointSlices.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kttun.sandbox.controllers.deployments import is_ready
from kttun.sandbox.controllers.loop import reference
from kttun.sandbox.kinds import ENDPOINTS, PODS, SERVICES
from kttun.sandbox.probe import port_number
from kttun.sandbox.selectors import labels_of
from kttun.sandbox.store import FINISHED

if TYPE_CHECKING:
    from kttun.sandbox.store import Object, Store


class EndpointsController:
    """Keeps the Endpoints of each Service that selects pods: those that are ready."""

    kinds = (SERVICES, PODS)

    def __init__(self, store: Store) -> None:
        self._store = store

    def sync(self) -> None:
        """Compute what stands behind each Service and write what has changed."""
        pods = [pod for pod in self._store.list(PODS) if _counts(pod)]
        for service in self._store.list(SERVICES):
            if selector := service["spec"].get("selector"):
                self._put(service, [pod for pod in pods if _selected(pod, service, selector)])

    def _put(self, service: Object, pods: list[Object]) -> None:
        name, namespace = service["metadata"]["name"], service["metadata"]["namespace"]
        ports = _ports(service, pods[0]) if pods else []
        subsets = [{"addresses": [_address(pod) for pod in pods], "ports": ports}] if pods else []
        old = self._store.find(ENDPOINTS, namespace, name)
        if old is None:
            meta = {"name": name, "namespace": namespace, "ownerReferences": [reference(SERVICES, service)]}
            self._store.create(ENDPOINTS, {"metadata": meta, "subsets": subsets})
        else:
            self._store.replace(ENDPOINTS, old | {"subsets": subsets})


def _counts(pod: Object) -> bool:
    return (
        is_ready(pod)
        and bool(pod["status"].get("podIP"))
        and pod["status"].get("phase") not in FINISHED
        and "deletionTimestamp" not in pod["metadata"]
    )


def _selected(pod: Object, service: Object, selector: dict[str, str]) -> bool:
    same = pod["metadata"]["namespace"] == service["metadata"]["namespace"]
    return same and selector.items() <= labels_of(pod).items()


def _ports(service: Object, pod: Object) -> list[dict[str, Any]]:
    """Give the Service's ports as the pod's numbers; one that the pod does not name is left out."""
    return [
        {"name": each.get("name", ""), "port": number, "protocol": each["protocol"]}
        for each in service["spec"].get("ports") or ()
        if (number := max(port_number(container, each["targetPort"]) for container in pod["spec"]["containers"]))
    ]


def _address(pod: Object) -> dict[str, Any]:
    meta, hostname = pod["metadata"], pod["spec"].get("hostname")
    about = {"kind": "Pod", "name": meta["name"], "namespace": meta["namespace"], "uid": meta["uid"]}
    return {"ip": pod["status"]["podIP"], "targetRef": about} | ({"hostname": hostname} if hostname else {})
