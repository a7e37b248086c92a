"""What a request is about: its path, method and query, taken apart (Kubernetes API concepts, "Resource URIs")."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kttun.sandbox.kinds import ACCESS_REVIEWS, NAMESPACES, kind_at
from kttun.sandbox.rbac import Attributes
from kttun.sandbox.status import bad_request, no_such_path, not_allowed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kttun.sandbox.kinds import Kind

OF_ONE = {"GET": "get", "HEAD": "get", "PATCH": "patch", "DELETE": "delete"}
OF_COLLECTION = {"GET": "list", "HEAD": "list", "POST": "create"}
OF_SUBRESOURCE = {"GET": "get", "POST": "create"}


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
    if rest[0] == "namespaces" and len(rest) > 2:
        _, namespace, *rest = rest
    plural, name, subresource, *more = [*rest, "", ""][: max(3, len(rest))]
    kind = kind_at(group, version, plural)
    if kind is None or more or (subresource and subresource not in kind.subresources):
        raise no_such_path()
    if namespace and not kind.namespaced:
        raise no_such_path()
    verb = (OF_SUBRESOURCE if subresource else OF_ONE if name else OF_COLLECTION).get(method)
    if verb is None or (verb != "create" and (kind == ACCESS_REVIEWS or subresource == "token")):
        raise not_allowed()
    return Target(kind, namespace, name, subresource, "watch" if watch and verb == "list" else verb)


def number(query: Mapping[str, str], name: str) -> int | None:
    """Give a parameter that is a number and not negative, None if it is not there. Raises `StatusError` 400."""
    text = query.get(name)
    if not text:
        return None
    if not text.isdecimal():
        raise bad_request(f"invalid value for {name}: {text}")
    return int(text)


def flag(query: Mapping[str, str], name: str) -> bool:
    """Tell whether a parameter is switched on."""
    return query.get(name) in {"true", "1"}
