"""The Deployment controller, without ReplicaSets between; a template that changes is for the pods that come later."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kttun.sandbox.controllers.loop import RETRY_S, owned, pod_of
from kttun.sandbox.events import warn
from kttun.sandbox.kinds import DEPLOYMENTS, PODS
from kttun.sandbox.status import StatusError
from kttun.sandbox.store import FINISHED

if TYPE_CHECKING:
    from kttun.sandbox.controllers.loop import Creator
    from kttun.sandbox.store import Object, Store


class DeploymentController:
    """Makes the pods that a Deployment lacks and deletes those that it has too many, unready ones first."""

    kinds = (DEPLOYMENTS, PODS)

    def __init__(self, store: Store, create: Creator) -> None:
        self._store = store
        self._create = create

    def sync(self) -> float | None:
        """Bring each Deployment to its number of pods."""
        pods = [pod for pod in self._store.list(PODS) if _lives(pod)]
        complete = [self._bring_on(each, owned(pods, each)) for each in self._store.list(DEPLOYMENTS)]
        return None if all(complete) else RETRY_S

    def _bring_on(self, deployment: Object, pods: list[Object]) -> bool:
        meta, wanted = deployment["metadata"], int(deployment["spec"]["replicas"])
        pods = sorted(pods, key=is_ready)
        try:
            for _ in range(wanted - len(pods)):
                pods.append(self._create(PODS, pod_of(DEPLOYMENTS, deployment)))
        except StatusError as error:
            warn(self._store, DEPLOYMENTS, deployment, "FailedCreate", f"Error creating: {error.message}")
        for pod in pods[: max(0, len(pods) - wanted)]:
            self._store.delete(PODS, meta["namespace"], pod["metadata"]["name"])
        pods = pods[-wanted:] if wanted else []
        ready = sum(map(is_ready, pods))
        status = {"replicas": len(pods), "readyReplicas": ready, "availableReplicas": ready}
        self._store.update(DEPLOYMENTS, meta["namespace"], meta["name"], lambda made: made.update(status=status))
        return len(pods) == wanted


def is_ready(pod: Object) -> bool:
    """Tell whether a pod's condition Ready holds."""
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def _lives(pod: Object) -> bool:
    return "deletionTimestamp" not in pod["metadata"] and (pod.get("status") or {}).get("phase") not in FINISHED
