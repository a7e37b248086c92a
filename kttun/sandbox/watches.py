"""API watches: the store's history as lines of JSON (Kubernetes API concepts, "Efficient detection of changes")."""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from kttun.sandbox.selectors import matching
from kttun.sandbox.status import StatusError
from kttun.sandbox.target import flag, number

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from kttun.sandbox.selectors import Predicate
    from kttun.sandbox.store import Event, Store
    from kttun.sandbox.target import Target

LONGEST_S = 1800
"""How long a watch goes on when the client says nothing (the API server: 30 to 60 minutes)."""


def watch(store: Store, target: Target, query: Mapping[str, str]) -> AsyncGenerator[bytes, None]:
    """Give one line an event until `timeoutSeconds` are over; the last may be an ERROR with a Status.

    Raises `StatusError` 400 for nonsense.
    """
    if flag(query, "sendInitialEvents"):  # clients that may want it list and watch instead when they are told so
        why = "sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled"
        raise StatusError(HTTPStatus.UNPROCESSABLE_ENTITY, "Invalid", f"ListOptions.meta.k8s.io is invalid: {why}")
    wanted = matching(query.get("labelSelector", ""), query.get("fieldSelector", ""))
    seconds, revision = number(query, "timeoutSeconds") or LONGEST_S, number(query, "resourceVersion")
    events = store.subscribe(target.kind, since=revision or None)
    return _told(events, seconds, target.namespace, wanted)


async def _told(
    events: AsyncGenerator[Event, None], seconds: float, namespace: str, wanted: Predicate
) -> AsyncGenerator[bytes, None]:
    until = asyncio.get_running_loop().time() + seconds
    async with aclosing(events):
        while True:
            try:
                async with asyncio.timeout_at(until):
                    event = await anext(events)
            except TimeoutError:
                return
            except StatusError as error:
                yield _line("ERROR", error.body())
                return
            inside = namespace in {"", event.found["metadata"].get("namespace", "")}
            if inside and (change := _change(event, wanted)):
                yield _line(change, event.found)


def _change(event: Event, wanted: Predicate) -> str:
    """Name an event for a watcher with a selector: what begins or ceases to match is added or deleted for him."""
    was = event.before is not None and wanted(event.before)
    now = event.change != "DELETED" and wanted(event.found)
    return "MODIFIED" if was and now else "ADDED" if now else "DELETED" if was else ""


def _line(change: str, found: Mapping[str, Any]) -> bytes:
    return json.dumps({"type": change, "object": found}, separators=(",", ":")).encode() + b"\n"
