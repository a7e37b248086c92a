"""What the verbs do with objects: the part of the API between HTTP and the registry, without either's ways."""

from __future__ import annotations

import asyncio
import copy
import json
from contextlib import aclosing
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from kttun.sandbox.patches import patched
from kttun.sandbox.rbac import Attributes
from kttun.sandbox.selectors import matching
from kttun.sandbox.status import StatusError, bad_request
from kttun.sandbox.target import flag, number

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from kttun.sandbox.rbac import Authorizer
    from kttun.sandbox.registry import Registry
    from kttun.sandbox.selectors import Predicate
    from kttun.sandbox.store import Event, Store
    from kttun.sandbox.target import Target
    from kttun.sandbox.users import User

    Object = dict[str, Any]

LONGEST_S = 1800
"""How long a watch goes on when the client says nothing (the API server: 30 to 60 minutes)."""
SERVER_FIELDS = ("uid", "creationTimestamp", "resourceVersion", "deletionTimestamp")
"""What a client cannot say of a new object."""


class Resources:
    """Does what a `Target` says, for somebody who may; methods raise `StatusError`."""

    def __init__(self, registry: Registry) -> None:
        self._registry, self._store = registry, registry.store

    def list(self, target: Target, query: Mapping[str, str]) -> Object:
        """Give the collection, whole: a `limit` is a wish."""
        kind, labels, fields = target.kind, query.get("labelSelector", ""), query.get("fieldSelector", "")
        found = self._store.list(kind, target.namespace, labels=labels, fields=fields)
        meta = {"resourceVersion": str(self._store.revision)}
        return {"kind": f"{kind.name}List", "apiVersion": kind.api_version, "metadata": meta, "items": found}

    def create(self, target: Target, body: Object, *, dry_run: bool) -> Object:
        """Create an object in the collection."""
        _check_body(target, body)
        made = copy.deepcopy(body)
        meta = made.setdefault("metadata", {})
        for field in SERVER_FIELDS:
            meta.pop(field, None)
        made.pop("status", None)
        if target.kind.namespaced:
            if not target.namespace:
                raise bad_request("an empty namespace may not be set during creation")
            meta["namespace"] = target.namespace
        return self._registry.create(target.kind, made, dry_run=dry_run)

    def patch(self, target: Target, patch: Any, content_type: str, *, dry_run: bool) -> Object:
        """Change an object by a patch of either kind."""
        made = patched(content_type, self._store.get(target.kind, target.namespace, target.name), patch)
        _check_body(target, made)
        meta = made.get("metadata") or {}
        if (meta.get("name"), meta.get("namespace", "")) != (target.name, target.namespace):
            raise bad_request(f"the name of the object does not match the name on the URL ({target.name})")
        return self._registry.replace(target.kind, made, dry_run=dry_run)

    def delete(self, target: Target, *, grace_s: int | None, dry_run: bool) -> Object:
        """Delete an object; give it as it still is, or a Status when it is gone."""
        kind = target.kind
        found = self._store.delete(kind, target.namespace, target.name, grace_s=grace_s, dry_run=dry_run)
        if self._store.find(kind, target.namespace, target.name) is not None:
            return found
        details = {"name": target.name, "kind": kind.plural, "uid": found["metadata"]["uid"]}
        details |= {"group": kind.group} if kind.group else {}
        return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}


def answer_review(authorizer: Authorizer, user: User, review: Object) -> Object:
    """Answer whether the user may: SelfSubjectAccessReview. Raises `StatusError` 400 for a question about nothing."""
    spec = review.get("spec") or {}
    asked = spec.get("resourceAttributes") or spec.get("nonResourceAttributes")
    if not asked:
        raise bad_request("exactly one of nonResourceAttributes or resourceAttributes must be specified")
    fields = ("verb", "group", "resource", "subresource", "namespace", "name", "path")
    wanted = Attributes(**{"verb": ""} | {field: asked[field] for field in fields if asked.get(field)})
    return review | {"status": {"allowed": authorizer.allowed(user, wanted)}}


def _check_body(target: Target, body: Object) -> None:
    kind = target.kind
    said = (body.get("apiVersion") or kind.api_version, body.get("kind") or kind.name)
    if said != (kind.api_version, kind.name):
        raise bad_request(
            f"{said[1]} in version {json.dumps(said[0])} cannot be handled as a {kind.name}: "
            f"the resource is of {kind.api_version}"
        )
    namespace = (body.get("metadata") or {}).get("namespace") or target.namespace
    if kind.namespaced and namespace != target.namespace:
        raise bad_request(
            f"the namespace of the provided object does not match the namespace sent on the request "
            f"({target.namespace})"
        )


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
