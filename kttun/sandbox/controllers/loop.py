"""How controllers are called: after changes, and when time has come."""

from __future__ import annotations

import asyncio
import traceback
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

from kttun.sandbox.status import StatusError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from kttun.sandbox.kinds import Kind
    from kttun.sandbox.store import Object, Store

    Creator = Callable[[Kind, Object], Object]
    """How controllers make objects: with admission, as everybody. Raises `StatusError`."""


AGAIN_S, TROUBLED_S = 0.1, 5.0
"""When to look again after a conflict, and after an object that a controller could not cope with."""


class Controller(Protocol):
    """One controller."""

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """The kinds it looks at."""
        ...

    def sync(self) -> float | None:
        """Make everything true that can be made true now; idempotent.

        Gives in how many seconds it wants to be called though nothing changes, or None.
        """
        ...


async def keep(store: Store, controller: Controller) -> None:
    """Call a controller whenever there is something to do, without end."""
    changed = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        for kind in controller.kinds:
            group.create_task(_notice(store, kind, changed))
        while True:
            changed.clear()
            try:
                later = controller.sync()
            except StatusError:
                later = AGAIN_S  # somebody else changed the same object first
            except Exception:  # noqa: BLE001 - an object that nobody foresaw must not end the cluster
                traceback.print_exc()
                later = TROUBLED_S
            with suppress(TimeoutError):
                async with asyncio.timeout(later):
                    await changed.wait()


async def _notice(store: Store, kind: Kind, changed: asyncio.Event) -> None:
    while True:
        with suppress(StatusError):  # fallen out of the history: everything is looked at anyway
            async for _ in store.subscribe(kind):
                changed.set()
        changed.set()


def owned(objects: Iterable[Object], owner: Object) -> list[Object]:
    """Give those of the objects whose controller is `owner` (meta/v1 OwnerReference)."""
    uid = owner["metadata"]["uid"]
    return [
        each
        for each in objects
        if any(ref["uid"] == uid and ref.get("controller") for ref in each["metadata"].get("ownerReferences") or ())
    ]


def reference(kind: Kind, owner: Object) -> Object:
    """Give the OwnerReference of a controller to what it makes."""
    meta = owner["metadata"]
    return {
        "apiVersion": kind.api_version,
        "kind": kind.name,
        "name": meta["name"],
        "uid": meta["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def pod_of(kind: Kind, owner: Object, generate_name: str, **labels: str) -> Object:
    """Give the pod that the template of a Deployment or Job describes, with more labels."""
    template = owner["spec"]["template"]
    meta = template.get("metadata") or {}
    return {
        "metadata": {
            "generateName": generate_name,
            "namespace": owner["metadata"]["namespace"],
            "labels": (meta.get("labels") or {}) | labels,
            "annotations": meta.get("annotations") or {},
            "ownerReferences": [reference(kind, owner)],
        },
        "spec": template["spec"],
    }
