"""Events of type Warning: what went wrong with an object, for people who ask (core/v1 Event)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kttun.sandbox.kinds import EVENTS, NAMESPACES
from kttun.sandbox.store import timestamp

if TYPE_CHECKING:
    from kttun.sandbox.kinds import Kind
    from kttun.sandbox.store import Object, Store

KEPT = 100
"""How many events are kept in a namespace; a real API server forgets them after an hour."""


def warn(store: Store, kind: Kind, about: Object, reason: str, message: str) -> None:
    """Record that something went wrong, unless that was told of this object before, or its namespace has gone."""
    meta = about["metadata"]
    namespace = meta["namespace"]
    found = store.list(EVENTS, namespace)
    what = {"kind": kind.name, "name": meta["name"], "namespace": namespace, "uid": meta["uid"]}
    event = {"involvedObject": what, "reason": reason, "message": message, "type": "Warning"}
    if store.find(NAMESPACES, "", namespace) is None or any(event.items() <= each.items() for each in found):
        return
    if len(found) >= KEPT:
        oldest = min(found, key=lambda each: int(each["metadata"]["resourceVersion"]))
        store.remove(EVENTS, namespace, oldest["metadata"]["name"])
    times = {"firstTimestamp": timestamp(), "lastTimestamp": timestamp(), "count": 1}
    name = {"generateName": f"{meta['name']}.", "namespace": namespace}
    store.create(EVENTS, {"metadata": name, **event, **times})
