"""What a user may: Roles, ClusterRoles and their bindings, evaluated as rbac.authorization.k8s.io/v1 says.

Words of refusals: `k8s.io/apiserver` pkg/endpoints/handlers/responsewriters/errors.go.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kttun.sandbox.kinds import CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES, ROLE_BINDINGS, ROLES
from kttun.sandbox.users import MASTERS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from kttun.sandbox.store import Store
    from kttun.sandbox.users import User

    Rule = dict[str, Any]

ANY = "*"


@dataclass(frozen=True, slots=True)
class Attributes:
    """One thing that somebody wants to do: with a resource, or with a `path` of the API that is none."""

    verb: str
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""

    @property
    def whole(self) -> str:
        """Give resource and subresource as rules name them: `pods/log`."""
        return f"{self.resource}/{self.subresource}" if self.subresource else self.resource

    def refusal(self, user: User) -> str:
        """Say that the user may not."""
        if self.path:
            return f'User "{user.name}" cannot {self.verb} path "{self.path}"'
        where = f' in the namespace "{self.namespace}"' if self.namespace else " at the cluster scope"
        return f'User "{user.name}" cannot {self.verb} resource "{self.whole}" in API group "{self.group}"{where}'


class Authorizer:
    """Answers from the bindings that are in the store at that moment."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def allowed(self, user: User, wanted: Attributes) -> bool:
        """Tell whether the user may."""
        return MASTERS in user.groups or any(_grants(rule, wanted) for rule in self._rules(user, wanted.namespace))

    def _rules(self, user: User, namespace: str) -> Iterator[Rule]:
        bindings = self._store.list(CLUSTER_ROLE_BINDINGS)
        if namespace:
            bindings = bindings + self._store.list(ROLE_BINDINGS, namespace)
        for binding in bindings:
            if any(_means(subject, user, binding) for subject in binding.get("subjects") or ()):
                yield from self._role_rules(binding)

    def _role_rules(self, binding: dict[str, Any]) -> Iterable[Rule]:
        """Give the rules of the role that a binding names; none when it does not exist."""
        ref, kind, namespace = binding.get("roleRef") or {}, ROLES, binding["metadata"].get("namespace", "")
        if ref.get("kind") == "ClusterRole":
            kind, namespace = CLUSTER_ROLES, ""
        role = self._store.find(kind, namespace, ref.get("name", ""))
        return (role or {}).get("rules") or ()


def _means(subject: dict[str, Any], user: User, binding: dict[str, Any]) -> bool:
    name = subject.get("name", "")
    if subject.get("kind") == "ServiceAccount":
        namespace = subject.get("namespace") or binding["metadata"].get("namespace", "")
        return user.name == f"system:serviceaccount:{namespace}:{name}"
    return name in user.groups if subject.get("kind") == "Group" else name == user.name


def _grants(rule: Rule, wanted: Attributes) -> bool:
    if not _in(wanted.verb, rule.get("verbs")):
        return False
    if wanted.path:
        return any(_path_fits(wanted.path, pattern) for pattern in rule.get("nonResourceURLs") or ())
    names = rule.get("resourceNames")
    resources = rule.get("resources") or ()
    return (
        _in(wanted.group, rule.get("apiGroups"))
        and (_in(wanted.whole, resources) or (bool(wanted.subresource) and f"*/{wanted.subresource}" in resources))
        and (not names or wanted.name in names)
    )


def _path_fits(path: str, pattern: str) -> bool:
    return path == pattern or (pattern.endswith(ANY) and path.startswith(pattern[:-1]))


def _in(value: str, values: Iterable[str] | None) -> bool:
    listed = values or ()
    return value in listed or ANY in listed
