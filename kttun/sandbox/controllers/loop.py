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


RETRY_S = 1.0
"""When to look again after the API has refused something."""
TROUBLED_S = 5.0
"""After an object that a controller could not cope with."""


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
    """Give those of the objects that `owner` has made (meta/v1 OwnerReference)."""
    uid = owner["metadata"]["uid"]
    return [each for each in objects if uid in {ref["uid"] for ref in each["metadata"].get("ownerReferences") or ()}]


def reference(kind: Kind, owner: Object) -> Object:
    """Give the OwnerReference of a controller to what it makes."""
    names = {"apiVersion": kind.api_version, "kind": kind.name, "name": owner["metadata"]["name"]}
    return names | {"uid": owner["metadata"]["uid"], "controller": True}


def pod_of(kind: Kind, owner: Object) -> Object:
    """Give the pod that the template of a Deployment or Job describes."""
    template, meta = owner["spec"]["template"], owner["metadata"]
    about = {"generateName": f"{meta['name']}-", "namespace": meta["namespace"]}
    described = {key: (template.get("metadata") or {}).get(key) or {} for key in ("labels", "annotations")}
    return {"metadata": about | described | {"ownerReferences": [reference(kind, owner)]}, "spec": template["spec"]}
