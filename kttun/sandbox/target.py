"""What a request is about: its path and method, taken apart (Kubernetes API concepts, "Resource URIs")."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kttun.sandbox.kinds import NAMESPACES, kind_at
from kttun.sandbox.rbac import Attributes
from kttun.sandbox.status import no_such_path, not_allowed

if TYPE_CHECKING:
    from kttun.sandbox.kinds import Kind

VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch"}
READING = {"GET", "HEAD"}


@dataclass(frozen=True, slots=True)
class Target:
    """One resource, or a collection when `name` is empty."""

    kind: Kind
    namespace: str
    name: str
    subresource: str
    verb: str

    def attributes(self) -> Attributes:
        """Give what the authorizer is asked."""
        kind = self.kind
        # The namespace of a Namespace is itself (apiserver/pkg/endpoints/request, RequestInfo).
        namespace = self.name if kind == NAMESPACES else self.namespace
        return Attributes(self.verb, kind.group, kind.plural, self.subresource, namespace, self.name)


def target(method: str, path: str, *, watch: bool) -> Target | None:
    """Give what a request is about; None for a path that is no resource's. Raises `StatusError` 404, 405."""
    parts = path.strip("/").split("/")
    if parts[0] == "api" and len(parts) > 2:
        (version, *rest), group = parts[1:], ""
    elif parts[0] == "apis" and len(parts) > 3:
        group, version, *rest = parts[1:]
    else:
        return None
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 2 and not _is_subresource(rest):
        _, namespace, *rest = rest
    plural, name, subresource, *more = [*rest, "", ""][: max(3, len(rest))]
    kind = kind_at(group, version, plural)
    if kind is None or more or (subresource and subresource not in kind.subresources):
        raise no_such_path()
    if namespace and not kind.namespaced:
        raise no_such_path()
    verb = _verb(method, name, watch=watch)
    if not subresource and verb not in kind.verbs:
        raise not_allowed()
    return Target(kind, namespace, name, subresource, verb)


def _is_subresource(rest: list[str]) -> bool:
    return len(rest) == 3 and rest[2] in {*NAMESPACES.subresources, "finalize"}


def _verb(method: str, name: str, *, watch: bool) -> str:
    if method in READING:
        return "get" if name else "watch" if watch else "list"
    if method == "DELETE":
        return "delete" if name else "deletecollection"
    if method not in VERBS:
        raise not_allowed()
    return VERBS[method]
