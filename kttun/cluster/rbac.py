"""The least Role and RoleBinding as YAML text, one comment a rule: made to be read before it is applied."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from kttun.cluster.rights import rules_for

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kttun.cluster.rights import Rule

NAME = "kttun"


def role_yaml(
    features: Iterable[str], *, namespace: str | None = None, user: str | None = None, group: str | None = None
) -> str:
    """Give a Role for `features`, and a RoleBinding when `user` or `group` is named.

    Without a namespace the YAML names none and goes where `kubectl apply -n` says. Service accounts are users named
    `system:serviceaccount:NAMESPACE:NAME`. Raises `UsageError` for an unknown feature.
    """
    # JSON strings are YAML strings (YAML 1.2 section 1.3), and quoting all of them leaves nothing to misread.
    where = f"  namespace: {json.dumps(namespace)}\n" if namespace else ""
    role = (
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\n"
        f"metadata:\n  name: {NAME}\n{where}rules:\n" + "".join(_rule(rule) for rule in rules_for(features))
    )
    subject = ("User", user) if user else ("Group", group) if group else None
    if subject is None:
        return role
    return role + (
        "---\napiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\n"
        f"metadata:\n  name: {NAME}\n{where}"
        f"roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: Role, name: {NAME}}}\n"
        f"subjects:\n- {{apiGroup: rbac.authorization.k8s.io, kind: {subject[0]}, name: {json.dumps(subject[1])}}}\n"
    )


def _rule(rule: Rule) -> str:
    optional = " (optional)" if rule.optional else ""
    return (
        f"# {rule.why}{optional}\n"
        f'- apiGroups: ["{rule.group}"]\n'
        f'  resources: ["{rule.resource}"]\n'
        f"  verbs: {json.dumps(list(rule.verbs))}\n"
    )
