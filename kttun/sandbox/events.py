"""Events: what happened to an object, for people who ask (core/v1 Event)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kttun.sandbox.kinds import EVENTS, NAMESPACES
from kttun.sandbox.store import timestamp

if TYPE_CHECKING:
    from kttun.sandbox.kinds import Kind
    from kttun.sandbox.store import Object, Store

KEPT = 500
"""How many events are kept; a real API server forgets them after an hour."""


class Recorder:
    """Writes events in the name of one component, such as `kubelet`."""

    def __init__(self, store: Store, component: str) -> None:
        self._store = store
        self._component = component

    def normal(self, kind: Kind, about: Object, reason: str, message: str) -> None:
        """Record that something went its way."""
        self._record("Normal", kind, about, reason, message)

    def warning(self, kind: Kind, about: Object, reason: str, message: str) -> None:
        """Record that something went wrong."""
        self._record("Warning", kind, about, reason, message)

    def _record(self, severity: str, kind: Kind, about: Object, reason: str, message: str) -> None:
        """Count an event that was there already (same object, reason and words), or make one."""
        meta = about["metadata"]
        namespace = meta.get("namespace") or "default"
        if self._store.find(NAMESPACES, "", namespace) is None:
            return  # it has gone with all that was in it
        for found in self._store.list(EVENTS, namespace, fields=f"involvedObject.uid={meta['uid']}"):
            if (found["reason"], found["message"]) == (reason, message):
                self._store.update(EVENTS, namespace, found["metadata"]["name"], _count)
                return
        self._make_room()
        now = timestamp()
        event: dict[str, Any] = {
            "metadata": {"generateName": f"{meta['name']}.", "namespace": namespace},
            "involvedObject": {
                "apiVersion": kind.api_version,
                "kind": kind.name,
                "name": meta["name"],
                "namespace": meta.get("namespace", ""),
                "uid": meta["uid"],
            },
            "reason": reason,
            "message": message,
            "type": severity,
            "source": {"component": self._component},
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
        }
        self._store.create(EVENTS, event)

    def _make_room(self) -> None:
        found = self._store.list(EVENTS)
        for oldest in sorted(found, key=lambda each: int(each["metadata"]["resourceVersion"]))[: len(found) - KEPT + 1]:
            self._store.remove(EVENTS, oldest["metadata"]["namespace"], oldest["metadata"]["name"])


def _count(event: Object) -> None:
    event["count"] += 1
    event["lastTimestamp"] = timestamp()
