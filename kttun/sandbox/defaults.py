"""What the API server fills into new objects, as far as kttun, kubectl and our controllers look at it.

From `k8s.io/kubernetes` pkg/apis/*/v1/defaults.go and pkg/registry/*/strategy.go.
"""

from __future__ import annotations

from typing import Any

from kttun.sandbox.kinds import DEPLOYMENTS, JOBS, NAMESPACES, PODS, SERVICES, Kind

Object = dict[str, Any]

JOB_NAME_LABELS = ("batch.kubernetes.io/job-name", "job-name")


def fill(kind: Kind, made: Object) -> None:
    """Fill in what is not there; the object has its name already."""
    if kind in _FILLERS:
        _FILLERS[kind](made)


def fill_ports(service: Object) -> None:
    """Fill in the ports of a Service."""
    for port in service["spec"].get("ports") or ():
        port.setdefault("protocol", "TCP")
        port.setdefault("targetPort", port["port"])


def _namespace(made: Object) -> None:
    made["metadata"].setdefault("labels", {})["kubernetes.io/metadata.name"] = made["metadata"]["name"]
    made["status"] = {"phase": "Active"}


def _pod(made: Object) -> None:
    usual = {"restartPolicy": "Always", "terminationGracePeriodSeconds": 30, "serviceAccountName": "default"}
    made["spec"] = usual | (made.get("spec") or {})
    made["status"] = {"phase": "Pending"}


def _service(made: Object) -> None:
    made["spec"] = {"type": "ClusterIP"} | (made.get("spec") or {})
    fill_ports(made)


def _job(made: Object) -> None:
    labels = made["spec"]["template"].setdefault("metadata", {}).setdefault("labels", {})
    labels |= dict.fromkeys(JOB_NAME_LABELS, made["metadata"]["name"])
    made["spec"] = {"backoffLimit": 6} | made["spec"]
    made["status"] = {}


def _deployment(made: Object) -> None:
    made["spec"] = {"replicas": 1} | made["spec"]
    made["status"] = {}


_FILLERS = {NAMESPACES: _namespace, PODS: _pod, SERVICES: _service, JOBS: _job, DEPLOYMENTS: _deployment}
