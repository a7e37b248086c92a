"""Acting as somebody else: who may, and as whom one is then known."""

import pytest
from multidict import CIMultiDict

from kttun.sandbox.impersonation import impersonated
from kttun.sandbox.kinds import CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES
from kttun.sandbox.rbac import Authorizer
from kttun.sandbox.status import StatusError
from kttun.sandbox.store import Store
from kttun.sandbox.users import User, account_user

ROOT, JANE = User("root", ("system:masters",)), User("jane")


@pytest.fixture
def authorizer():
    """Let jane act as bob, and nobody else."""
    store = Store()
    rule = {"apiGroups": [""], "resources": ["users"], "resourceNames": ["bob"], "verbs": ["impersonate"]}
    store.create(CLUSTER_ROLES, {"metadata": {"name": "r"}, "rules": [rule]})
    ref, subject = {"kind": "ClusterRole", "name": "r"}, {"kind": "User", "name": "jane"}
    store.create(CLUSTER_ROLE_BINDINGS, {"metadata": {"name": "r"}, "roleRef": ref, "subjects": [subject]})
    return Authorizer(store)


@pytest.mark.parametrize(
    ("who", "headers", "expected"),
    [
        (JANE, [], JANE),
        (JANE, [("impersonate-user", "bob")], User("bob", ("system:authenticated",))),
        (
            ROOT,
            [("Impersonate-User", "bob"), ("Impersonate-Group", "a"), ("impersonate-group", "b")],
            User("bob", ("a", "b", "system:authenticated")),
        ),
        (ROOT, [("Impersonate-User", "system:serviceaccount:shop:robot")], account_user("shop", "robot")),
    ],
)
def test_who_may_is_somebody_else(authorizer, who, headers, expected):
    assert impersonated(authorizer, who, CIMultiDict(headers)) == expected


@pytest.mark.parametrize(
    ("headers", "code", "told"),
    [
        (
            [("Impersonate-User", "eve")],
            403,
            'users "eve" is forbidden: User "jane" cannot impersonate resource "users"',
        ),
        ([("Impersonate-User", "bob"), ("Impersonate-Group", "g")], 403, 'groups "g" is forbidden'),
        ([("Impersonate-User", "bob"), ("Impersonate-Uid", "7")], 403, 'uids "7" is forbidden'),
        ([("Impersonate-User", "bob"), ("Impersonate-Extra-a%2Fb", "x")], 403, 'userextras/a/b "x" is forbidden'),
        ([("Impersonate-User", "system:serviceaccount:shop:robot")], 403, 'in the namespace "shop"'),
        ([("Impersonate-Group", "g")], 400, "without impersonating a user"),
    ],
)
def test_who_may_not_is_refused(authorizer, headers, code, told):
    with pytest.raises(StatusError) as refused:
        impersonated(authorizer, JANE, CIMultiDict(headers))
    assert refused.value.code == code
    assert told in refused.value.message
