"""What goes with something else: dependents with their owners, contents with their namespace.

Kubernetes "Garbage Collection": an object goes when none of its owners is there any more. With propagation policy
Foreground the owner waits for dependents that block it; with Orphan they are set free.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kttun.sandbox.kinds import ALL_VERBS, KINDS, NAMESPACES
from kttun.sandbox.status import StatusError

if TYPE_CHECKING:
    from collections.abc import Callable

    from kttun.sandbox.kinds import Kind
    from kttun.sandbox.store import Object, Store

FOREGROUND, ORPHAN = "foregroundDeletion", "orphan"

_KEPT = tuple(kind for kind in KINDS if kind.verbs == ALL_VERBS)


class GarbageCollector:
    """Deletes what has lost its owners or its namespace."""

    kinds = _KEPT

    def __init__(self, store: Store) -> None:
        self._store = store

    def sync(self) -> None:
        """Go round until nothing is left to do."""
        found = [(kind, each) for kind in _KEPT for each in self._store.list(kind)]
        uids = {each["metadata"]["uid"] for _, each in found}
        for kind, each in found:
            owners = each["metadata"].get("ownerReferences") or ()
            if owners and not any(owner["uid"] in uids for owner in owners):
                self._delete(kind, each)
            for finalizer in each["metadata"].get("finalizers") or ():
                if "deletionTimestamp" in each["metadata"] and finalizer in {FOREGROUND, ORPHAN}:
                    self._finalize(kind, each, finalizer, found)
        for namespace in self._store.list(NAMESPACES):
            self._empty_namespace(namespace, found)

    def _finalize(self, kind: Kind, owner: Object, finalizer: str, found: list[tuple[Kind, Object]]) -> None:
        uid = owner["metadata"]["uid"]

        def refers(each: Object) -> list[Object]:
            return [ref for ref in each["metadata"].get("ownerReferences") or () if ref["uid"] == uid]

        waiting = False
        for of, each in found:
            if not (mine := refers(each)):
                continue
            if finalizer == FOREGROUND:
                self._delete(of, each)
                waiting |= any(ref.get("blockOwnerDeletion") for ref in mine) and self._exists(of, each)
            else:
                self._change(of, each, lambda made: made["metadata"]["ownerReferences"].remove(refers(made)[0]))
        if not waiting:
            self._change(kind, owner, lambda made: made["metadata"]["finalizers"].remove(finalizer))

    def _empty_namespace(self, namespace: Object, found: list[tuple[Kind, Object]]) -> None:
        name = namespace["metadata"]["name"]
        inside = [(kind, each) for kind, each in found if each["metadata"].get("namespace") == name]
        if "deletionTimestamp" not in namespace["metadata"]:
            return
        for kind, each in inside:
            self._delete(kind, each)
        if not any(self._exists(kind, each) for kind, each in inside):
            self._store.remove(NAMESPACES, "", name)

    def _delete(self, kind: Kind, each: Object) -> None:
        meta = each["metadata"]
        if self._exists(kind, each) and "deletionTimestamp" not in meta:
            self._store.delete(kind, meta.get("namespace") or "", meta["name"], uid=meta["uid"])

    def _change(self, kind: Kind, each: Object, change: Callable[[Object], None]) -> None:
        meta = each["metadata"]
        try:
            self._store.update(kind, meta.get("namespace") or "", meta["name"], change)
        except StatusError:
            return  # gone, or changed just now: the next round sees it

    def _exists(self, kind: Kind, each: Object) -> bool:
        meta = each["metadata"]
        now = self._store.find(kind, meta.get("namespace") or "", meta["name"])
        return now is not None and now["metadata"]["uid"] == meta["uid"]
