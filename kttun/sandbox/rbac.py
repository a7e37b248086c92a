"""What a user may: Roles, ClusterRoles and their bindings, evaluated as rbac.authorization.k8s.io/v1 says.

Words of refusals: `k8s.io/apiserver` pkg/endpoints/handlers/responsewriters/errors.go; of reasons and of the check
against escalation: `k8s.io/kubernetes` plugin/pkg/auth/authorizer/rbac and pkg/registry/rbac/validation.
"""

from __future__ import annotations

import json
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

    def allowed(self, user: User, wanted: Attributes) -> str:
        """Give the reason why the user may, empty when he may not."""
        if MASTERS in user.groups:
            return f"group {MASTERS} may do everything"
        return next((why for why, rule in self._rules(user, wanted.namespace) if _grants(rule, wanted)), "")

    def escalation(self, user: User, rules: Iterable[Rule], namespace: str) -> str:
        """Say which rights the user would give away without having them himself; empty when there are none."""
        if MASTERS in user.groups:
            return ""
        held = [rule for _, rule in self._rules(user, namespace)]
        lacking = [rule for asked in rules for rule in _atoms(asked) if not any(_covers(own, rule) for own in held)]
        if not lacking:
            return ""
        groups = " ".join(json.dumps(group) for group in user.groups)
        lines = "\n".join(sorted({_text(rule) for rule in lacking}))
        who = f"user {json.dumps(user.name)} (groups=[{groups}])"
        return f"{who} is attempting to grant RBAC permissions not currently held:\n{lines}"

    def role_rules(self, binding: dict[str, Any]) -> list[Rule]:
        """Give the rules of the role that a binding names; none when it does not exist."""
        ref = binding.get("roleRef") or {}
        kind, namespace = (ROLES, binding["metadata"].get("namespace", ""))
        if ref.get("kind") == "ClusterRole":
            kind, namespace = CLUSTER_ROLES, ""
        role = self._store.find(kind, namespace, ref.get("name", ""))
        return list((role or {}).get("rules") or ())

    def _rules(self, user: User, namespace: str) -> Iterator[tuple[str, Rule]]:
        bindings = self._store.list(CLUSTER_ROLE_BINDINGS)
        if namespace:
            bindings = bindings + self._store.list(ROLE_BINDINGS, namespace)
        for binding in bindings:
            subject = next((s for s in binding.get("subjects") or () if _means(s, user, binding)), None)
            if subject is not None:
                why = _reason(binding, subject)
                yield from ((why, rule) for rule in self.role_rules(binding))


def _means(subject: dict[str, Any], user: User, binding: dict[str, Any]) -> bool:
    name = subject.get("name", "")
    if subject.get("kind") == "ServiceAccount":
        namespace = subject.get("namespace") or binding["metadata"].get("namespace", "")
        return user.name == f"system:serviceaccount:{namespace}:{name}"
    return name in user.groups if subject.get("kind") == "Group" else name == user.name


def _reason(binding: dict[str, Any], subject: dict[str, Any]) -> str:
    name, namespace = binding["metadata"]["name"], binding["metadata"].get("namespace", "")
    kind, quoted = ("RoleBinding", f"{name}/{namespace}") if namespace else ("ClusterRoleBinding", name)
    role = binding["roleRef"]
    who = subject["name"] + (f"/{subject.get('namespace', namespace)}" if subject["kind"] == "ServiceAccount" else "")
    return f'RBAC: allowed by {kind} "{quoted}" of {role["kind"]} "{role["name"]}" to {subject["kind"]} "{who}"'


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


def _atoms(rule: Rule) -> Iterator[Rule]:
    """Take a rule apart into rules of one verb on one thing."""
    names = rule.get("resourceNames") or [None]
    for verb in rule.get("verbs") or ():
        for path in rule.get("nonResourceURLs") or ():
            yield {"nonResourceURLs": [path], "verbs": [verb]}
        for group in rule.get("apiGroups") or ():
            for resource in rule.get("resources") or ():
                for name in names:
                    named = {"resourceNames": [name]} if name else {}
                    yield {"apiGroups": [group], "resources": [resource], **named, "verbs": [verb]}


def _covers(own: Rule, atom: Rule) -> bool:
    (verb,) = atom["verbs"]
    if "nonResourceURLs" in atom:
        return _grants(own, Attributes(verb, path=atom["nonResourceURLs"][0]))
    resource, _, subresource = atom["resources"][0].partition("/")
    (name,) = atom.get("resourceNames") or ("",)
    return _grants(own, Attributes(verb, atom["apiGroups"][0], resource, subresource, name=name))


def _text(rule: Rule) -> str:
    """Write a rule as Go writes it in the API server's message."""
    parts = [
        f"{title}:[{' '.join(json.dumps(value) for value in rule[key])}]"
        for title, key in (
            ("APIGroups", "apiGroups"),
            ("Resources", "resources"),
            ("NonResourceURLs", "nonResourceURLs"),
            ("ResourceNames", "resourceNames"),
            ("Verbs", "verbs"),
        )
        if key in rule
    ]
    return "{" + ", ".join(parts) + "}"
