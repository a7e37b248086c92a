"""What goes with something else: dependents with their owners, contents with their namespace.

Kubernetes "Garbage Collection", propagation policy Background: an object goes when none of its owners is there any
more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kttun.sandbox.kinds import KINDS, NAMESPACES

if TYPE_CHECKING:
    from kttun.sandbox.kinds import Kind
    from kttun.sandbox.store import Object, Store


class GarbageCollector:
    """Deletes what has lost its owners or its namespace."""

    kinds = KINDS

    def __init__(self, store: Store) -> None:
        self._store = store

    def sync(self) -> None:
        """Delete what can go now; what that lets go is seen in the next round."""
        found = [(kind, each) for kind in KINDS for each in self._store.list(kind)]
        uids = {each["metadata"]["uid"] for _, each in found}
        for kind, each in found:
            owners = each["metadata"].get("ownerReferences") or ()
            if owners and not any(owner["uid"] in uids for owner in owners):
                self._delete(kind, each)
        for namespace in self._store.list(NAMESPACES):
            if "deletionTimestamp" in namespace["metadata"]:
                self._empty(namespace["metadata"]["name"])

    def _empty(self, namespace: str) -> None:
        for kind in (kind for kind in KINDS if kind.namespaced):
            for each in self._store.list(kind, namespace):
                self._delete(kind, each)
        if not any(self._store.list(kind, namespace) for kind in KINDS if kind.namespaced):
            self._store.remove(NAMESPACES, "", namespace)

    def _delete(self, kind: Kind, each: Object) -> None:
        meta = each["metadata"]
        place = meta.get("namespace") or "", meta["name"]
        if "deletionTimestamp" not in meta and self._store.find(kind, *place) is each:
            self._store.delete(kind, *place)
