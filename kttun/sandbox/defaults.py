"""What the API server fills into new objects, as far as kttun, kubectl and our controllers look at it.

From `k8s.io/kubernetes` pkg/apis/*/v1/defaults.go and pkg/registry/*/strategy.go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kttun.sandbox.kinds import DEPLOYMENTS, JOBS, NAMESPACES, PODS, REPLICA_SETS, SERVICES

if TYPE_CHECKING:
    from collections.abc import Callable

    from kttun.sandbox.kinds import Kind

    Object = dict[str, Any]

JOB_NAME_LABELS = ("batch.kubernetes.io/job-name", "job-name")
JOB_UID_LABELS = ("batch.kubernetes.io/controller-uid", "controller-uid")


def fill(kind: Kind, made: Object) -> None:
    """Fill in what is not there; the object has its name and uid already."""
    filler = _FILLERS.get(kind)
    if filler is not None:
        filler(made)


def fill_pod_spec(spec: Object) -> None:
    """Fill in a pod's spec, be it a pod's own or that of a template."""
    account = spec.get("serviceAccountName") or spec.get("serviceAccount") or ""
    _defaults(
        spec,
        restartPolicy="Always",
        terminationGracePeriodSeconds=30,
        dnsPolicy="ClusterFirst",
        schedulerName="default-scheduler",
        securityContext={},
        **({"serviceAccountName": account, "serviceAccount": account} if account else {}),
    )
    for container in [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]:
        pinned = ":" in container.get("image", "").rpartition("/")[2] and not container["image"].endswith(":latest")
        _defaults(
            container,
            imagePullPolicy="IfNotPresent" if pinned else "Always",
            resources={},
            terminationMessagePath="/dev/termination-log",
            terminationMessagePolicy="File",
        )
        for port in container.get("ports") or ():
            _defaults(port, protocol="TCP")


def _namespace(made: Object) -> None:
    made["metadata"].setdefault("labels", {})["kubernetes.io/metadata.name"] = made["metadata"]["name"]
    made["spec"] = {"finalizers": ["kubernetes"]}
    made["status"] = {"phase": "Active"}


def _pod(made: Object) -> None:
    spec = made.setdefault("spec", {})
    _defaults(spec, serviceAccountName=spec.get("serviceAccount") or "default")
    fill_pod_spec(spec)
    made["status"] = {"phase": "Pending", "qosClass": "BestEffort"}


def _service(made: Object) -> None:
    spec = made.setdefault("spec", {})
    _defaults(spec, type="ClusterIP", sessionAffinity="None", internalTrafficPolicy="Cluster")
    for port in spec.get("ports") or ():
        _defaults(port, protocol="TCP", targetPort=port["port"])
    made["status"] = {"loadBalancer": {}}


def _job(made: Object) -> None:
    spec, meta = made.setdefault("spec", {}), made["metadata"]
    _defaults(spec, parallelism=1, completions=1, backoffLimit=6, suspend=False, completionMode="NonIndexed")
    labels = spec["template"].setdefault("metadata", {}).setdefault("labels", {})
    labels |= dict.fromkeys(JOB_NAME_LABELS, meta["name"]) | dict.fromkeys(JOB_UID_LABELS, meta["uid"])
    spec["selector"] = {"matchLabels": {JOB_UID_LABELS[0]: meta["uid"]}}
    meta["labels"] = dict(labels) | (meta.get("labels") or {})
    fill_pod_spec(spec["template"].setdefault("spec", {}))
    made["status"] = {}


def _replicated(made: Object) -> None:
    spec = made.setdefault("spec", {})
    _defaults(spec, replicas=1)
    fill_pod_spec(spec["template"].setdefault("spec", {}))
    made["status"] = {}


def _defaults(part: Object, **values: Any) -> None:
    for key, value in values.items():
        part.setdefault(key, value)


_FILLERS: dict[Kind, Callable[[Object], None]] = {
    NAMESPACES: _namespace,
    PODS: _pod,
    SERVICES: _service,
    JOBS: _job,
    DEPLOYMENTS: _replicated,
    REPLICA_SETS: _replicated,
}
