"""The one store: objects by kind, namespace and name, and the history of their changes that watches are made of.

Everything happens in one asyncio loop and no method awaits, so each is atomic. Each change takes the next revision; an
object's `resourceVersion` is the revision of its last change. Watches keep no queue: each has a place in the common
history, and one that falls out of it is told so (`StatusError` 410), as the API tells it to its clients.

What the store promises to those in the same process:

- Objects that it gives are its own: copy before changing, or use `update`. Objects that it is given are copied.
- It asks no questions: admission, defaults and addresses are `registry`'s. It knows only names, revisions, and when an
  object that is deleted really goes.
- Deletion. A pod that runs on a node gets a `deletionTimestamp` and stays until whoever runs it says `remove`; a
  namespace until whoever empties it does. Everything else goes at once; finalizers and propagation policies other than
  Background are not known.
"""

from __future__ import annotations

import asyncio
import copy
import datetime as dt
import secrets
import uuid
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from kttun.sandbox.kinds import NAMESPACES, PODS
from kttun.sandbox.selectors import matching
from kttun.sandbox.status import already_exists, conflict, expired, invalid, not_found

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from kttun.sandbox.kinds import Kind

    Object = dict[str, Any]

HISTORY = 4096
"""Changes that are kept for watches that resume."""

SUFFIX_LETTERS = "bcdfghjklmnpqrstvwxz2456789"
"""What generated names end in (`k8s.io/apimachinery` pkg/util/rand: no vowels, no digits that look like them)."""
SUFFIX_LENGTH = 5
LONGEST_BASE = 58
"""Characters of `generateName` that are kept, so that a name stays a DNS label (63)."""

POD_GRACE_S = 30
"""core/v1 PodSpec terminationGracePeriodSeconds when nobody says anything."""
FINISHED = frozenset({"Succeeded", "Failed"})

Change = Literal["ADDED", "MODIFIED", "DELETED"]


@dataclass(frozen=True, slots=True)
class Event:
    """One change. `before` is the object as it was, None when it is new; of a deleted one `found` is its last state."""

    revision: int
    change: Change
    kind: Kind
    found: Object
    before: Object | None


class Store:
    """All objects of the cluster. Methods raise `StatusError` with the API's own words."""

    def __init__(self, *, history: int = HISTORY) -> None:
        self._objects: dict[Kind, dict[tuple[str, str], Object]] = {}
        self._history: deque[Event] = deque(maxlen=history)
        self._waiting: set[asyncio.Event] = set()
        self.revision = 1
        """The revision of the last change."""

    def create(self, kind: Kind, obj: Object, *, dry_run: bool = False) -> Object:
        """Keep a new object under `metadata.name` (made from `generateName`, if need be) and `metadata.namespace`.

        Gives it with uid, creationTimestamp and resourceVersion. Raises `StatusError`: 409, or 422 without
        a name. With `dry_run` it is only given, not kept.
        """
        made = self.named(kind, obj)
        meta = made["metadata"]
        if _key(made) in self._objects.setdefault(kind, {}):
            raise already_exists(kind, meta["name"])
        made["apiVersion"], made["kind"] = kind.api_version, kind.name
        meta["creationTimestamp"] = timestamp()
        meta.pop("resourceVersion", None)
        if not dry_run:
            self._commit("ADDED", kind, made, None)
        return made

    def named(self, kind: Kind, obj: Object) -> Object:
        """Give a copy with a name and a uid, for those who need them before `create`. Raises 422 without a name."""
        made = copy.deepcopy(obj)
        meta = made.setdefault("metadata", {})
        _name(kind, meta)
        meta.setdefault("uid", str(uuid.uuid4()))
        return made

    def get(self, kind: Kind, namespace: str, name: str) -> Object:
        """Give the object; `namespace` is empty for kinds of the cluster. Raises `StatusError` 404."""
        found = self._objects.get(kind, {}).get((namespace, name))
        if found is None:
            raise not_found(kind, name)
        return found

    def find(self, kind: Kind, namespace: str, name: str) -> Object | None:
        """Give the object, or None."""
        return self._objects.get(kind, {}).get((namespace, name))

    def list(self, kind: Kind, namespace: str = "", *, labels: str = "", fields: str = "") -> list[Object]:
        """Give the objects in the order of namespace and name; an empty `namespace` means all. Raises 400."""
        wanted = matching(labels, fields)
        kept = sorted(self._objects.get(kind, {}).items())
        return [found for (where, _), found in kept if namespace in {"", where} and wanted(found)]

    def replace(self, kind: Kind, obj: Object, *, dry_run: bool = False) -> Object:
        """Put the object in the place of its older self; nothing happens when they are equal.

        A `resourceVersion`, if it has one, must be the present one, a `uid` that of the one that is there (409).
        Identity and deletion cannot be changed. Raises `StatusError` 404, 409.
        """
        old = self.get(kind, *_key(obj))
        made = copy.deepcopy(obj)
        meta, was = made["metadata"], old["metadata"]
        if meta.get("resourceVersion") not in {None, "", was["resourceVersion"]}:
            why = "the object has been modified; please apply your changes to the latest version and try again"
            raise conflict(kind, meta["name"], why)
        if meta.get("uid") not in {None, was["uid"]}:
            why = f"Precondition failed: UID in precondition: {meta['uid']}, UID in object meta: {was['uid']}"
            raise conflict(kind, meta["name"], why)
        for name in ("uid", "creationTimestamp", "resourceVersion", "deletionTimestamp"):
            meta.pop(name, None)
            meta |= {name: was[name]} if name in was else {}
        made["apiVersion"], made["kind"] = kind.api_version, kind.name
        if made == old:
            return old
        if not dry_run:
            self._commit("MODIFIED", kind, made, old)
        return made

    def update(self, kind: Kind, namespace: str, name: str, change: Callable[[Object], None]) -> Object:
        """Let `change` work on a copy of the object, status and all, and put it back; for those in this process."""
        made = copy.deepcopy(self.get(kind, namespace, name))
        change(made)
        return self.replace(kind, made)

    def delete(
        self, kind: Kind, namespace: str, name: str, *, grace_s: int | None = None, dry_run: bool = False
    ) -> Object:
        """Delete; give the object as it then is. Raises `StatusError` 404.

        What is there afterwards with a `deletionTimestamp` waits for somebody to finish, as the head of this module
        says; `grace_s` is how long a pod may take, None for what it says itself.
        """
        old = self.get(kind, namespace, name)
        if dry_run:
            return old
        made = copy.deepcopy(old)
        meta = made["metadata"]
        grace = _grace(kind, made, grace_s)
        if kind != NAMESPACES and not grace:
            return self.remove(kind, namespace, name)
        if "deletionTimestamp" in meta and grace >= meta.get("deletionGracePeriodSeconds", 0):
            return old
        meta |= {"deletionTimestamp": timestamp(grace), "deletionGracePeriodSeconds": grace}
        if kind == NAMESPACES:
            made.setdefault("status", {})["phase"] = "Terminating"
        self._commit("MODIFIED", kind, made, old)
        return made

    def remove(self, kind: Kind, namespace: str, name: str) -> Object:
        """Let the object be gone now, whatever waited for it; give its last state. Raises `StatusError` 404."""
        old = self.get(kind, namespace, name)
        made = copy.deepcopy(old)
        self._commit("DELETED", kind, made, old)
        return made

    async def subscribe(self, kind: Kind, *, since: int | None = None) -> AsyncGenerator[Event, None]:
        """Yield changes of a kind without end, for whoever keeps something in step with it.

        With `since`, those after that revision; else first ADDED for all that is there. Raises `StatusError` 410 when
        the history does not reach back far enough, be it for `since` or because the reader was too slow.
        """
        place = self.revision if since is None else since
        if since is None:
            for found in self.list(kind):
                yield Event(int(found["metadata"]["resourceVersion"]), "ADDED", kind, found, None)
        news = asyncio.Event()
        self._waiting.add(news)
        try:
            while True:
                news.clear()
                while place < self.revision:
                    event = self._after(place)
                    place = event.revision
                    if event.kind == kind:
                        yield event
                await news.wait()
        finally:
            self._waiting.discard(news)

    def _after(self, revision: int) -> Event:
        """Give the first change after a revision: they are numbered without gaps."""
        oldest = self.revision - len(self._history) + 1
        if revision + 1 < oldest:
            raise expired(revision, oldest)
        return self._history[revision + 1 - oldest]

    def _commit(self, change: Change, kind: Kind, made: Object, before: Object | None) -> None:
        self.revision += 1
        made["metadata"]["resourceVersion"] = str(self.revision)
        if change == "DELETED":
            del self._objects[kind][_key(made)]
        else:
            self._objects[kind][_key(made)] = made
        self._history.append(Event(self.revision, change, kind, made, before))
        for news in self._waiting:
            news.set()


def timestamp(later_s: float = 0) -> str:
    """Give the time, or so many seconds later, as the API writes it (meta/v1 Time: RFC 3339, whole seconds, UTC)."""
    return (dt.datetime.now(dt.UTC) + dt.timedelta(seconds=later_s)).strftime("%Y-%m-%dT%H:%M:%SZ")


def _key(obj: Object) -> tuple[str, str]:
    meta = obj["metadata"]
    return meta.get("namespace") or "", meta["name"]


def _name(kind: Kind, meta: Object) -> None:
    if not meta.get("name"):
        if not meta.get("generateName"):
            raise invalid(kind, "", "metadata.name", "Required value: name or generateName is required")
        suffix = "".join(secrets.choice(SUFFIX_LETTERS) for _ in range(SUFFIX_LENGTH))
        meta["name"] = meta["generateName"][:LONGEST_BASE] + suffix
    if not kind.namespaced:
        meta.pop("namespace", None)


def _grace(kind: Kind, obj: Object, wanted: int | None) -> int:
    """Give the seconds that a pod gets to end by itself: none when nothing runs."""
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    if kind != PODS or not spec.get("nodeName") or status.get("phase") in FINISHED:
        return 0
    usual: int = spec.get("terminationGracePeriodSeconds", POD_GRACE_S)
    return usual if wanted is None else wanted
