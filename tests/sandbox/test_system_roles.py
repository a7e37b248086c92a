"""The roles of every cluster: what they let a user do, and who has them."""

import pytest

from kttun.sandbox.kinds import CLUSTER_ROLES, ROLE_BINDINGS
from kttun.sandbox.rbac import Attributes, Authorizer
from kttun.sandbox.store import Store
from kttun.sandbox.system_roles import system_roles
from kttun.sandbox.users import User

JANE = User("jane", ("system:authenticated",))


@pytest.fixture
def store():
    made = Store()
    for kind, found in system_roles():
        made.create(kind, found)
    return made


@pytest.mark.parametrize(
    ("wanted", "allowed"),
    [
        (Attributes("create", "authorization.k8s.io", "selfsubjectaccessreviews"), True),
        (Attributes("get", path="/version"), True),
        (Attributes("get", path="/apis/batch/v1"), True),
        (Attributes("get", path="/metrics"), False),
        (Attributes("list", "", "pods", namespace="shop"), False),
    ],
)
def test_everybody_may_look_round_and_ask(store, wanted, allowed):
    assert bool(Authorizer(store).allowed(JANE, wanted)) is allowed


@pytest.mark.parametrize(
    ("role", "verb", "group", "resource", "allowed"),
    [
        ("view", "list", "", "pods", True),
        ("view", "list", "", "secrets", False),
        ("view", "create", "batch", "jobs", False),
        ("edit", "create", "batch", "jobs", True),
        ("edit", "create", "", "pods/portforward", True),
        ("edit", "create", "rbac.authorization.k8s.io", "roles", False),
        ("admin", "create", "rbac.authorization.k8s.io", "roles", True),
        ("admin", "list", "", "nodes", False),
        ("cluster-admin", "list", "", "nodes", True),
    ],
)
def test_a_role_that_is_given_to_people(store, role, verb, group, resource, allowed):
    assert store.find(CLUSTER_ROLES, "", role) is not None
    ref, subject = {"kind": "ClusterRole", "name": role}, {"kind": "User", "name": "jane"}
    binding = {"metadata": {"name": "b", "namespace": "shop"}, "roleRef": ref, "subjects": [subject]}
    store.create(ROLE_BINDINGS, binding)
    name, _, subresource = resource.partition("/")
    assert bool(Authorizer(store).allowed(JANE, Attributes(verb, group, name, subresource, "shop"))) is allowed
