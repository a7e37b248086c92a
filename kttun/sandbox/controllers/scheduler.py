"""The scheduler of a cluster with one node: a pod goes there, or says why not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kttun.sandbox.events import warn
from kttun.sandbox.kinds import NODES, PODS
from kttun.sandbox.selectors import labels_of

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

    def sync(self) -> None:
        """Look for a node for each pod that has none."""
        for pod in self._store.list(PODS):
            if not pod["spec"].get("nodeName"):
                wanted = (pod["spec"].get("nodeSelector") or {}).items()
                fitting = [node for node in self._store.list(NODES) if wanted <= labels_of(node).items()]
                self._decide(pod, fitting[0]["metadata"]["name"] if fitting else "")

    def _decide(self, pod: Object, node: str) -> None:
        why = {"status": "True"} if node else {"status": "False", "reason": "Unschedulable", "message": NO_NODE}

        def change(made: Object) -> None:
            made["spec"] |= {"nodeName": node} if node else {}
            made["status"]["conditions"] = [{"type": "PodScheduled", **why}]

        changed = self._store.update(PODS, pod["metadata"]["namespace"], pod["metadata"]["name"], change) != pod
        if changed and not node:
            warn(self._store, PODS, pod, "FailedScheduling", NO_NODE)
