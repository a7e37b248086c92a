"""Which pods stand behind each Service: Endpoints and EndpointSlices (Kubernetes "Service", "EndpointSlices").

A Service without selector keeps the Endpoints that somebody gave it, and gets the slice that mirrors them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kttun.sandbox.controllers.deployments import is_ready
from kttun.sandbox.controllers.loop import reference
from kttun.sandbox.kinds import ENDPOINT_SLICES, ENDPOINTS, PODS, SERVICES
from kttun.sandbox.probe import port_number
from kttun.sandbox.selectors import matches_labels
from kttun.sandbox.store import FINISHED

if TYPE_CHECKING:
    from kttun.sandbox.kinds import Kind
    from kttun.sandbox.store import Object, Store

SERVICE_NAME = "kubernetes.io/service-name"
"""The label by which a slice belongs to a Service."""
MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
OURS = "endpointslice-controller.k8s.io"


class EndpointsController:
    """Keeps Endpoints and one slice for each Service, and removes the slices of those that are gone."""

    kinds = (SERVICES, PODS, ENDPOINTS)

    def __init__(self, store: Store) -> None:
        self._store = store

    def sync(self) -> None:
        """Compute what stands behind each Service and write what has changed."""
        pods = [pod for pod in self._store.list(PODS) if _counts(pod)]
        for service in self._store.list(SERVICES):
            meta, selector = service["metadata"], service["spec"].get("selector")
            if selector:
                found = [pod for pod in pods if _selected(pod, meta["namespace"], selector)]
                subsets = _subsets(service, found)
                self._put(ENDPOINTS, service, meta["name"], {"subsets": subsets})
            else:
                given = self._store.find(ENDPOINTS, meta["namespace"], meta["name"])
                if given is None:
                    continue
                subsets = given.get("subsets") or []
            for number, subset in enumerate(subsets):
                self._put(ENDPOINT_SLICES, service, f"{meta['name']}-{number}", _slice(subset))
            self._remove_slices(service, len(subsets))

    def _put(self, kind: Kind, service: Object, name: str, content: Object) -> None:
        meta = service["metadata"]
        labels = {SERVICE_NAME: meta["name"], MANAGED_BY: OURS} if kind == ENDPOINT_SLICES else {}
        if service["spec"].get("clusterIP") == "None":
            labels["service.kubernetes.io/headless"] = ""
        old = self._store.find(kind, meta["namespace"], name)
        if old is None:
            new = {"name": name, "namespace": meta["namespace"], "labels": labels}
            self._store.create(kind, {"metadata": new | {"ownerReferences": [reference(SERVICES, service)]}, **content})
        elif any(old.get(key) != value for key, value in content.items()):
            self._store.replace(kind, {**old, **content})

    def _remove_slices(self, service: Object, kept: int) -> None:
        meta = service["metadata"]
        labels = f"{SERVICE_NAME}={meta['name']},{MANAGED_BY}={OURS}"
        names = {f"{meta['name']}-{number}" for number in range(kept)}
        for each in self._store.list(ENDPOINT_SLICES, meta["namespace"], labels=labels):
            if each["metadata"]["name"] not in names:
                self._store.remove(ENDPOINT_SLICES, meta["namespace"], each["metadata"]["name"])


def _counts(pod: Object) -> bool:
    status = pod.get("status") or {}
    return (
        bool(status.get("podIP")) and status.get("phase") not in FINISHED and "deletionTimestamp" not in pod["metadata"]
    )


def _selected(pod: Object, namespace: str, selector: dict[str, str]) -> bool:
    meta = pod["metadata"]
    return meta["namespace"] == namespace and matches_labels({"matchLabels": selector}, meta.get("labels") or {})


def _subsets(service: Object, pods: list[Object]) -> list[dict[str, Any]]:
    """Give the EndpointSubsets: pods that have the same numbers for all of the Service's ports stand in one."""
    grouped: dict[tuple[tuple[str, int, str], ...], dict[bool, list[Object]]] = {}
    for pod in pods:
        ports = tuple(
            (each.get("name", ""), target, each.get("protocol", "TCP"))
            for each in service["spec"].get("ports") or ()
            if (target := _target(each, pod))
        )
        ready = is_ready(pod) or bool(service["spec"].get("publishNotReadyAddresses"))
        grouped.setdefault(ports, {}).setdefault(ready, []).append(_address(pod))
    return [
        {
            **({"addresses": by_readiness[True]} if True in by_readiness else {}),
            **({"notReadyAddresses": by_readiness[False]} if False in by_readiness else {}),
            "ports": [
                {**({"name": name} if name else {}), "port": port, "protocol": protocol}
                for name, port, protocol in ports
            ],
        }
        for ports, by_readiness in sorted(grouped.items())
    ]


def _target(port: dict[str, Any], pod: Object) -> int:
    """Give the pod's number for a Service's port; 0 when it names one that the pod does not have."""
    target = port.get("targetPort") or port["port"]
    return next((number for each in pod["spec"].get("containers") or () if (number := port_number(each, target))), 0)


def _address(pod: Object) -> dict[str, Any]:
    meta, spec = pod["metadata"], pod["spec"]
    about = {"kind": "Pod", "name": meta["name"], "namespace": meta["namespace"], "uid": meta["uid"]}
    hostname = {"hostname": spec["hostname"]} if spec.get("hostname") else {}
    return {"ip": pod["status"]["podIP"], "nodeName": spec["nodeName"], "targetRef": about, **hostname}


def _slice(subset: dict[str, Any]) -> Object:
    """Give the content of a slice that says the same as a subset."""
    endpoints = [
        {
            "addresses": [each["ip"]],
            "conditions": {"ready": ready, "serving": ready, "terminating": False},
            **{name: each[name] for name in ("hostname", "nodeName", "targetRef") if name in each},
        }
        for key, ready in (("addresses", True), ("notReadyAddresses", False))
        for each in subset.get(key) or ()
    ]
    ports = [{"name": each.get("name", ""), **each} for each in subset.get("ports") or ()]
    return {"addressType": "IPv4", "endpoints": endpoints, "ports": ports}
