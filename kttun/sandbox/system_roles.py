"""The ClusterRoles that every cluster has, and who has them from the beginning.

A choice from `k8s.io/kubernetes` plugin/pkg/auth/authorizer/rbac/bootstrappolicy: what lets a user look round and ask
what he may, and the roles `cluster-admin`, `admin`, `edit` and `view` to give to people, for the kinds that exist here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kttun.sandbox.kinds import ALL_VERBS, CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES
from kttun.sandbox.users import AUTHENTICATED, MASTERS

if TYPE_CHECKING:
    from kttun.sandbox.kinds import Kind

    Rule = dict[str, list[str]]

READ = ["get", "list", "watch"]
CORE = ["configmaps", "endpoints", "events", "pods", "pods/log", "resourcequotas", "serviceaccounts", "services"]
GROUPS = ["apps", "batch", "discovery.k8s.io", "networking.k8s.io"]
RBAC = "rbac.authorization.k8s.io"
ABOUT = ["/healthz", "/livez", "/readyz", "/version", "/openapi", "/openapi/*", "/api", "/api/*", "/apis", "/apis/*"]

VIEW: list[Rule] = [
    {"apiGroups": [""], "resources": CORE, "verbs": READ},
    {"apiGroups": GROUPS, "resources": ["*"], "verbs": READ},
]
EDIT: list[Rule] = [
    {"apiGroups": [""], "resources": [*CORE, "secrets", "pods/portforward"], "verbs": list(ALL_VERBS)},
    {"apiGroups": [""], "resources": ["serviceaccounts/token"], "verbs": ["create"]},
    {"apiGroups": [""], "resources": ["serviceaccounts"], "verbs": ["impersonate"]},
    {"apiGroups": [*GROUPS, "coordination.k8s.io"], "resources": ["*"], "verbs": list(ALL_VERBS)},
]
ROLES: dict[str, list[Rule]] = {
    "cluster-admin": [
        {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]},
        {"nonResourceURLs": ["*"], "verbs": ["*"]},
    ],
    "admin": [*EDIT, {"apiGroups": [RBAC], "resources": ["roles", "rolebindings"], "verbs": list(ALL_VERBS)}],
    "edit": EDIT,
    "view": VIEW,
    "system:basic-user": [
        {"apiGroups": ["authorization.k8s.io"], "resources": ["selfsubjectaccessreviews"], "verbs": ["create"]}
    ],
    "system:discovery": [{"nonResourceURLs": ABOUT, "verbs": ["get"]}],
}
HOLDERS = {"cluster-admin": MASTERS, "system:basic-user": AUTHENTICATED, "system:discovery": AUTHENTICATED}
"""Which group has which role in the whole cluster."""


def system_roles() -> list[tuple[Kind, dict[str, Any]]]:
    """Give the ClusterRoles and ClusterRoleBindings to make in a new cluster."""
    found: list[tuple[Kind, dict[str, Any]]] = [
        (CLUSTER_ROLES, {"metadata": {"name": name}, "rules": rules}) for name, rules in ROLES.items()
    ]
    for name, group in HOLDERS.items():
        ref = {"apiGroup": RBAC, "kind": "ClusterRole", "name": name}
        subject = {"apiGroup": RBAC, "kind": "Group", "name": group}
        found.append((CLUSTER_ROLE_BINDINGS, {"metadata": {"name": name}, "roleRef": ref, "subjects": [subject]}))
    return found
