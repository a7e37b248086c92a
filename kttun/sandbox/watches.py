"""API watches: the store's history as lines of JSON (Kubernetes API concepts, "Efficient detection of changes")."""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from kttun.sandbox.query import flag, number
from kttun.sandbox.selectors import matching
from kttun.sandbox.status import StatusError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping

    from kttun.sandbox.kinds import Kind
    from kttun.sandbox.selectors import Predicate
    from kttun.sandbox.store import Event, Store

    Render = Callable[[dict[str, Any]], Mapping[str, Any]]

LONGEST_S = 1800
"""How long a watch goes on when the client says nothing (the API server: 30 to 60 minutes)."""


def watch(
    store: Store, kind: Kind, namespace: str, query: Mapping[str, str], render: Render
) -> AsyncGenerator[bytes, None]:
    """Give one line an event until `timeoutSeconds` are over; the last may be a bookmark, or an ERROR with a Status.

    `render` makes of an object what the client wants to see. Raises `StatusError` 400 for nonsense.
    """
    if flag(query, "sendInitialEvents"):  # clients that may want it list and watch instead when they are told so
        why = "sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled"
        raise StatusError(HTTPStatus.UNPROCESSABLE_ENTITY, "Invalid", f"ListOptions.meta.k8s.io is invalid: {why}")
    wanted = matching(query.get("labelSelector", ""), query.get("fieldSelector", ""))
    seconds, revision = number(query, "timeoutSeconds") or LONGEST_S, number(query, "resourceVersion")
    events = store.subscribe(kind, since=revision or None)
    lines = _told(events, seconds, lambda event: _lines(event, wanted, render) if _in(event, namespace) else [])
    return _with_bookmark(lines, store, kind) if flag(query, "allowWatchBookmarks") else lines


async def _told(
    events: AsyncGenerator[Event, None], seconds: float, tell: Callable[[Event], list[bytes]]
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
            for line in tell(event):
                yield line


async def _with_bookmark(lines: AsyncGenerator[bytes, None], store: Store, kind: Kind) -> AsyncGenerator[bytes, None]:
    """Add the place from which to go on: when a watch's time is over it has told all there was."""
    async with aclosing(lines):
        async for line in lines:
            yield line
    names = {"kind": kind.name, "apiVersion": kind.api_version}
    yield _line("BOOKMARK", names | {"metadata": {"resourceVersion": str(store.revision)}})


def _in(event: Event, namespace: str) -> bool:
    return namespace in {"", event.found["metadata"].get("namespace", "")}


def _lines(event: Event, wanted: Predicate, render: Render) -> list[bytes]:
    """Tell an event to a watcher with a selector: what begins or ceases to match is added or deleted for him."""
    was = event.before is not None and wanted(event.before)
    now = event.change != "DELETED" and wanted(event.found)
    if not was and not now:
        return []
    return [_line("MODIFIED" if was and now else "ADDED" if now else "DELETED", render(event.found))]


def _line(change: str, found: Mapping[str, Any]) -> bytes:
    return json.dumps({"type": change, "object": found}, separators=(",", ":")).encode() + b"\n"
