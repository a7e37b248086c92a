"""Events: what happened to an object, for people who ask (core/v1 Event)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kttun.sandbox.kinds import EVENTS, NAMESPACES
from kttun.sandbox.store import timestamp

if TYPE_CHECKING:
    from kttun.sandbox.kinds import Kind
    from kttun.sandbox.store import Object, Store

KEPT = 100
"""How many events are kept in a namespace; a real API server forgets them after an hour."""


class Recorder:
    """Writes events in the name of one component, such as `kubelet`."""

    def __init__(self, store: Store, component: str) -> None:
        self._store, self._component = store, component

    def normal(self, kind: Kind, about: Object, reason: str, message: str) -> None:
        """Record that something went its way."""
        self._record("Normal", kind, about, reason, message)

    def warning(self, kind: Kind, about: Object, reason: str, message: str) -> None:
        """Record that something went wrong."""
        self._record("Warning", kind, about, reason, message)

    def _record(self, severity: str, kind: Kind, about: Object, reason: str, message: str) -> None:
        """Make an event, unless the same was told before of the object, or its namespace has gone."""
        meta = about["metadata"]
        namespace = meta["namespace"]
        found = self._store.list(EVENTS, namespace)
        what = {"kind": kind.name, "name": meta["name"], "namespace": namespace, "uid": meta["uid"]}
        event = {"involvedObject": what, "reason": reason, "message": message, "type": severity}
        if self._store.find(NAMESPACES, "", namespace) is None or any(event.items() <= each.items() for each in found):
            return
        if len(found) >= KEPT:
            oldest = min(found, key=lambda each: int(each["metadata"]["resourceVersion"]))
            self._store.remove(EVENTS, namespace, oldest["metadata"]["name"])
        now = timestamp()
        times = {"firstTimestamp": now, "lastTimestamp": now, "count": 1, "source": {"component": self._component}}
        self._store.create(
            EVENTS, {"metadata": {"generateName": f"{meta['name']}.", "namespace": namespace}, **event, **times}
        )
