"""Lists as `kubectl get` prints them: the Table of meta/v1 (Kubernetes API concepts, "Receiving resources as Tables").

Columns are a choice of `k8s.io/kubernetes` pkg/printers/internalversion; kinds that are not named here show name and
age.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from kttun.sandbox.kinds import DEPLOYMENTS, EVENTS, JOBS, NAMESPACES, NODES, PODS, SERVICES

if TYPE_CHECKING:
    from collections.abc import Callable

    from kttun.sandbox.kinds import Kind

    Object = dict[str, Any]
    Columns = dict[str, Callable[[Object], Any]]


def wants_table(accept: str) -> bool:
    """Tell whether an Accept header asks for a Table first."""
    return ";as=Table;v=v1;" in f"{accept.partition(',')[0].replace(' ', '')};"


def table(kind: Kind, found: list[Object], meta: Object) -> Object:
    """Give the objects as a Table; `meta` is the list's own metadata."""
    columns: Columns = {"Name": _name} | _COLUMNS.get(kind, {}) | {"Age": _age}
    rows = [
        {
            "cells": [cell(one) for cell in columns.values()],
            "object": {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": one["metadata"]},
        }
        for one in found
    ]
    definitions = [
        {"name": name, "type": "string", "format": "name" if name == "Name" else "", "description": "", "priority": 0}
        for name in columns
    ]
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": meta,
        "columnDefinitions": definitions,
        "rows": rows,
    }


def age(seconds: float) -> str:
    """Give a duration as kubectl writes it: its largest unit, and the next one while that still says something."""
    whole = max(0, int(seconds))
    for unit, size, smaller, small in (("d", 86400, "h", 3600), ("h", 3600, "m", 60), ("m", 60, "s", 1)):
        if whole >= 2 * size or (whole >= size and unit == "d"):
            count, rest = divmod(whole, size)
            return f"{count}{unit}" + (f"{rest // small}{smaller}" if count < 8 and rest // small else "")
    return f"{whole}s"


def _name(one: Object) -> str:
    return str(one["metadata"]["name"])


def _age(one: Object) -> str:
    born = dt.datetime.fromisoformat(one["metadata"]["creationTimestamp"])
    return age((dt.datetime.now(dt.UTC) - born).total_seconds())


def _status(one: Object) -> Object:
    found: Object = one.get("status") or {}
    return found


def _containers(pod: Object) -> list[Object]:
    found: list[Object] = _status(pod).get("containerStatuses") or []
    return found


def _ready(pod: Object) -> str:
    return f"{sum(bool(one.get('ready')) for one in _containers(pod))}/{len(pod['spec'].get('containers') or ())}"


def _state(pod: Object) -> str:
    if "deletionTimestamp" in pod["metadata"]:
        return "Terminating"
    for container in _containers(pod):
        state = container.get("state") or {}
        for part in (state.get("waiting"), state.get("terminated")):
            if part and part.get("reason"):
                return str(part["reason"])
    return str(_status(pod).get("phase") or "Unknown")


def _restarts(pod: Object) -> int:
    return sum(container.get("restartCount", 0) for container in _containers(pod))


def _ports(service: Object) -> str:
    return ",".join(f"{port['port']}/{port['protocol']}" for port in service["spec"].get("ports") or ()) or "<none>"


def _replicas(deployment: Object) -> str:
    return f"{_status(deployment).get('readyReplicas', 0)}/{deployment['spec']['replicas']}"


def _completions(job: Object) -> str:
    return f"{_status(job).get('succeeded', 0)}/{job['spec'].get('completions', 1)}"


def _conditions(one: Object) -> str:
    held = [each["type"] for each in _status(one).get("conditions") or () if each.get("status") == "True"]
    return ",".join(held) or "Running"


def _about(event: Object) -> str:
    involved = event.get("involvedObject") or {}
    return f"{str(involved.get('kind', '')).lower()}/{involved.get('name', '')}"


_COLUMNS: dict[Kind, Columns] = {
    PODS: {"Ready": _ready, "Status": _state, "Restarts": _restarts, "IP": lambda pod: _status(pod).get("podIP", "")},
    SERVICES: {
        "Type": lambda service: service["spec"].get("type", ""),
        "Cluster-IP": lambda service: service["spec"].get("clusterIP", ""),
        "Port(s)": _ports,
    },
    JOBS: {"Status": _conditions, "Completions": _completions},
    DEPLOYMENTS: {"Ready": _replicas},
    NODES: {"Status": _conditions},
    NAMESPACES: {"Status": lambda namespace: _status(namespace).get("phase", "")},
    EVENTS: {
        "Type": lambda event: event.get("type", ""),
        "Reason": lambda event: event.get("reason", ""),
        "Object": _about,
        "Message": lambda event: event.get("message", ""),
    },
}
