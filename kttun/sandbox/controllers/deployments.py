"""The Deployment controller, without ReplicaSets between: so many pods of the present template, and no others."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from kttun.sandbox.controllers.loop import owned, pod_of
from kttun.sandbox.events import Recorder
from kttun.sandbox.kinds import DEPLOYMENTS, PODS
from kttun.sandbox.status import StatusError
from kttun.sandbox.store import FINISHED

if TYPE_CHECKING:
    from kttun.sandbox.controllers.loop import Creator
    from kttun.sandbox.store import Object, Store

HASH = "pod-template-hash"
RETRY_S = 1.0


class DeploymentController:
    """New pods first; old ones go once the new ones are ready (a rolling update without limits of its own)."""

    kinds = (DEPLOYMENTS, PODS)

    def __init__(self, store: Store, create: Creator) -> None:
        self._store = store
        self._create = create
        self._recorder = Recorder(store, "deployment-controller")

    def sync(self) -> float | None:
        """Bring each Deployment one step further."""
        pods = [pod for pod in self._store.list(PODS) if _lives(pod)]
        waits = [
            self._bring_on(each, owned(pods, each))
            for each in self._store.list(DEPLOYMENTS)
            if "deletionTimestamp" not in each["metadata"]
        ]
        return min((wait for wait in waits if wait is not None), default=None)

    def _bring_on(self, deployment: Object, pods: list[Object]) -> float | None:
        meta, wanted = deployment["metadata"], deployment["spec"]["replicas"]
        template = json.dumps(deployment["spec"]["template"], sort_keys=True).encode()
        mark = hashlib.sha256(template).hexdigest()[:10]
        present = sorted((pod for pod in pods if pod["metadata"]["labels"].get(HASH) == mark), key=is_ready)
        wait = None
        for _ in range(wanted - len(present)):
            try:
                pod = pod_of(DEPLOYMENTS, deployment, f"{meta['name']}-{mark}-", **{HASH: mark})
                present.append(self._create(PODS, pod))
            except StatusError as error:
                self._recorder.warning(DEPLOYMENTS, deployment, "FailedCreate", f"Error creating: {error.message}")
                wait = RETRY_S
                break
        surplus = present[: max(0, len(present) - wanted)]
        present = present[len(surplus) :]
        ready = sum(map(is_ready, present))
        if ready >= wanted:
            surplus += [pod for pod in pods if pod["metadata"]["labels"].get(HASH) != mark]
        for pod in surplus:
            self._store.delete(PODS, meta["namespace"], pod["metadata"]["name"])
        self._report(deployment, len(present), ready)
        return wait

    def _report(self, deployment: Object, present: int, ready: int) -> None:
        meta = deployment["metadata"]

        def change(made: Object) -> None:
            made["status"] = {"replicas": present, "readyReplicas": ready, "availableReplicas": ready}

        self._store.update(DEPLOYMENTS, meta["namespace"], meta["name"], change)


def is_ready(pod: Object) -> bool:
    """Tell whether a pod's condition Ready holds."""
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def _lives(pod: Object) -> bool:
    return "deletionTimestamp" not in pod["metadata"] and (pod.get("status") or {}).get("phase") not in FINISHED
