"""The scheduler of a cluster with one node: a pod goes there, or says why not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kttun.sandbox.events import Recorder
from kttun.sandbox.kinds import NODES, PODS
from kttun.sandbox.store import timestamp

if TYPE_CHECKING:
    from kttun.sandbox.store import Object, Store

NO_NODE = (
    "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector. "
    "preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling."
)
"""The real scheduler's words for a selector that fits nowhere."""


class Scheduler:
    """Gives pods a node, by nodeSelector alone."""

    kinds = (PODS, NODES)

    def __init__(self, store: Store) -> None:
        self._store = store
        self._recorder = Recorder(store, "default-scheduler")

    def sync(self) -> None:
        """Look for a node for each pod that has none."""
        nodes = self._store.list(NODES)
        for pod in self._store.list(PODS):
            if pod["spec"].get("nodeName") or "deletionTimestamp" in pod["metadata"]:
                continue
            wanted = (pod["spec"].get("nodeSelector") or {}).items()
            fitting = [node for node in nodes if wanted <= (node["metadata"].get("labels") or {}).items()]
            self._decide(pod, fitting[0]["metadata"]["name"] if fitting else "")

    def _decide(self, pod: Object, node: str) -> None:
        now = {"type": "PodScheduled", "lastProbeTime": None, "lastTransitionTime": timestamp()}
        why = {"status": "True"} if node else {"status": "False", "reason": "Unschedulable", "message": NO_NODE}
        meta = pod["metadata"]

        def change(made: Object) -> None:
            status = made.setdefault("status", {})
            status.setdefault("phase", "Pending")
            if node:
                made["spec"]["nodeName"] = node
            elif any(each["type"] == "PodScheduled" for each in status.get("conditions") or ()):
                return
            status["conditions"] = [now | why]

        if self._store.update(PODS, meta["namespace"], meta["name"], change) == pod:
            return
        if node:
            message = f"Successfully assigned {meta['namespace']}/{meta['name']} to {node}"
            self._recorder.normal(PODS, pod, "Scheduled", message)
        else:
            self._recorder.warning(PODS, pod, "FailedScheduling", NO_NODE)
