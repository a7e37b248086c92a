"""What the verbs do with kept objects: the part of the API between HTTP and the registry, without either's ways."""

from __future__ import annotations

import base64
import copy
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from kttun.sandbox.kinds import CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES, ROLE_BINDINGS, ROLES
from kttun.sandbox.patches import patched
from kttun.sandbox.query import number
from kttun.sandbox.rbac import Attributes
from kttun.sandbox.status import bad_request, expired, forbidden

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kttun.sandbox.kinds import Kind
    from kttun.sandbox.rbac import Authorizer
    from kttun.sandbox.registry import Admitted, Registry
    from kttun.sandbox.target import Target
    from kttun.sandbox.users import User

    Object = dict[str, Any]

SERVER_FIELDS = ("uid", "creationTimestamp", "resourceVersion", "generation", "deletionTimestamp", "selfLink")
"""What a client cannot say of a new object."""

HOLDING = {ROLES: "escalate", CLUSTER_ROLES: "escalate", ROLE_BINDINGS: "bind", CLUSTER_ROLE_BINDINGS: "bind"}
"""Kinds that give rights away, and the verb that allows to give what one does not have."""


class Resources:
    """Does what a `Target` says for a user who may; methods raise `StatusError`."""

    def __init__(self, registry: Registry, authorizer: Authorizer) -> None:
        self._registry, self._store, self._authorizer = registry, registry.store, authorizer

    def list(self, target: Target, query: Mapping[str, str]) -> Object:
        """Give the collection, or a page of `limit` with the token for the next.

        Pages are cut from what is there when each is asked for, not from one moment.
        """
        kind, limit = target.kind, number(query, "limit") or 0
        found = self._store.list(
            kind,
            target.namespace,
            labels=query.get("labelSelector", ""),
            fields=query.get("fieldSelector", ""),
        )
        meta: Object = {"resourceVersion": str(self._store.revision)}
        if query.get("continue"):
            found = [one for one in found if _place(one) > self._decoded(query["continue"])]
        if 0 < limit < len(found):
            meta |= {"continue": self._encoded(found[limit - 1]), "remainingItemCount": len(found) - limit}
            found = found[:limit]
        return {"kind": f"{kind.name}List", "apiVersion": kind.api_version, "metadata": meta, "items": found}

    def create(self, user: User, target: Target, body: Object, *, dry_run: bool) -> Admitted:
        """Create an object in the collection."""
        self._check_body(target, body)
        made = copy.deepcopy(body)
        meta = made.setdefault("metadata", {})
        for field in SERVER_FIELDS:
            meta.pop(field, None)
        made.pop("status", None)
        if target.kind.namespaced:
            if not target.namespace:
                raise bad_request("an empty namespace may not be set during creation")
            meta["namespace"] = target.namespace
        self._check_escalation(user, target.kind, made)
        return self._registry.create(target.kind, made, dry_run=dry_run)

    def update(self, user: User, target: Target, body: Object, *, dry_run: bool) -> Object:
        """Put an object in the place of its older self."""
        self._check_body(target, body)
        meta = body.setdefault("metadata", {})
        if meta.get("name") != target.name:
            raise bad_request(
                f"the name of the object ({meta.get('name', '')}) does not match the name on the URL ({target.name})"
            )
        if target.kind.namespaced:
            meta["namespace"] = target.namespace
        self._check_escalation(user, target.kind, body)
        return self._registry.replace(target.kind, body, subresource=target.subresource, dry_run=dry_run)

    def patch(self, user: User, target: Target, patch: Any, content_type: str, *, dry_run: bool) -> Object:
        """Change an object by a patch of either kind."""
        old = self._store.get(target.kind, target.namespace, target.name)
        return self.update(user, target, patched(content_type, old, patch), dry_run=dry_run)

    def delete(self, target: Target, options: Mapping[str, Any], *, dry_run: bool) -> Object:
        """Delete an object; give it as it still is, or a Status when it is gone."""
        kind, before = target.kind, options.get("preconditions") or {}
        policy = options.get("propagationPolicy") or ("Orphan" if options.get("orphanDependents") else "Background")
        found = self._store.delete(
            kind,
            target.namespace,
            target.name,
            policy=policy,
            grace_s=options.get("gracePeriodSeconds"),
            uid=before.get("uid"),
            revision=before.get("resourceVersion"),
            dry_run=dry_run,
        )
        if self._store.find(kind, target.namespace, target.name) is not None:
            return found
        details = {"name": target.name, "kind": kind.plural, "uid": found["metadata"]["uid"]}
        details |= {"group": kind.group} if kind.group else {}
        return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}

    def delete_all(
        self, target: Target, query: Mapping[str, str], options: Mapping[str, Any], *, dry_run: bool
    ) -> Object:
        """Delete what is in the collection and fits the selectors; give the list of it."""
        found = self.list(target, {key: value for key, value in query.items() if key.endswith("Selector")})
        for one in found["items"]:
            meta = one["metadata"]
            each = replace(target, namespace=meta.get("namespace", ""), name=meta["name"])
            self.delete(each, options, dry_run=dry_run)
        return found

    def _check_body(self, target: Target, body: Object) -> None:
        kind = target.kind
        said = (body.get("apiVersion") or kind.api_version, body.get("kind") or kind.name)
        if said != (kind.api_version, kind.name):
            raise bad_request(
                f"{said[1]} in version {json.dumps(said[0])} cannot be handled as a {kind.name}: "
                f"the resource is of {kind.api_version}"
            )
        namespace = (body.get("metadata") or {}).get("namespace") or target.namespace
        if kind.namespaced and target.namespace and namespace != target.namespace:
            raise bad_request(
                f"the namespace of the provided object does not match the namespace sent on the request "
                f"({target.namespace})"
            )

    def _check_escalation(self, user: User, kind: Kind, made: Object) -> None:
        """Let nobody give away rights that he does not have himself (Kubernetes "Using RBAC Authorization")."""
        verb = HOLDING.get(kind)
        if verb is None:
            return
        namespace = made["metadata"].get("namespace", "")
        if verb == "escalate":
            rules, wanted = made.get("rules") or [], Attributes(verb, kind.group, kind.plural, namespace=namespace)
        else:
            ref = made.get("roleRef") or {}
            plural = CLUSTER_ROLES.plural if ref.get("kind") == "ClusterRole" else ROLES.plural
            rules = self._authorizer.role_rules(made)
            wanted = Attributes(verb, kind.group, plural, namespace=namespace, name=ref.get("name", ""))
        if self._authorizer.allowed(user, wanted):
            return
        if why := self._authorizer.escalation(user, rules, namespace):
            raise forbidden(kind, made["metadata"].get("name", ""), why)

    def _encoded(self, last: Object) -> str:
        return base64.urlsafe_b64encode(json.dumps(_place(last)).encode()).decode()

    def _decoded(self, token: str) -> tuple[str, str]:
        try:
            namespace, name = json.loads(base64.urlsafe_b64decode(token))
        except ValueError as error:
            raise expired(0, self._store.revision) from error
        return namespace, name


def _place(found: Object) -> tuple[str, str]:
    return found["metadata"].get("namespace", ""), found["metadata"]["name"]
