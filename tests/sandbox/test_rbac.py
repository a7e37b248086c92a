"""RBAC: who may what by which binding."""

import pytest

from kttun.sandbox.kinds import CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES, ROLE_BINDINGS, ROLES
from kttun.sandbox.rbac import Attributes, Authorizer
from kttun.sandbox.store import Store
from kttun.sandbox.users import User, account_user

JANE, OPS = User("jane", ("dev", "system:authenticated")), User("bob", ("ops",))
READ_PODS = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]}


@pytest.fixture
def store():
    return Store()


def bind(store, rules, subject, *, namespace="shop", cluster_role=False):
    """Make a role and bind it, in a namespace or (namespace "") in the whole cluster."""
    meta = {"name": f"r{store.revision}", "namespace": namespace}
    role, kind = (CLUSTER_ROLES, "ClusterRole") if cluster_role or not namespace else (ROLES, "Role")
    store.create(role, {"metadata": dict(meta), "rules": rules})
    binding = {"metadata": dict(meta), "roleRef": {"kind": kind, "name": meta["name"]}, "subjects": [subject]}
    store.create(ROLE_BINDINGS if namespace else CLUSTER_ROLE_BINDINGS, binding)


def user(name):
    return {"kind": "User", "name": name}


@pytest.mark.parametrize(
    ("wanted", "allowed"),
    [
        (Attributes("get", "", "pods", namespace="shop", name="p"), True),
        (Attributes("delete", "", "pods", namespace="shop"), False),
        (Attributes("get", "", "pods", "log", namespace="shop"), False),
        (Attributes("get", "apps", "pods", namespace="shop"), False),
        (Attributes("get", "", "pods", namespace="other"), False),
        (Attributes("list", "", "pods"), False),
    ],
)
def test_a_role_holds_in_its_namespace_for_what_it_names(store, wanted, allowed):
    bind(store, [READ_PODS], user("jane"))
    assert Authorizer(store).allowed(JANE, wanted) is allowed
    assert not Authorizer(store).allowed(OPS, wanted)


@pytest.mark.parametrize(
    ("rule", "wanted", "allowed"),
    [
        ({"resources": ["pods/log"]}, ("pods", "log", ""), True),
        ({"resources": ["*/log"]}, ("pods", "log", ""), True),
        ({"resources": ["*"]}, ("pods", "log", ""), True),
        ({"resources": ["pods/*"]}, ("pods", "log", ""), False),
        ({"resources": ["pods"], "resourceNames": ["a"]}, ("pods", "", "a"), True),
        ({"resources": ["pods"], "resourceNames": ["a"]}, ("pods", "", "b"), False),
        ({"resources": ["pods"], "resourceNames": ["a"]}, ("pods", "", ""), False),
    ],
)
def test_rules_name_resources_as_kubernetes_does(store, rule, wanted, allowed):
    bind(store, [{"apiGroups": ["*"], "verbs": ["*"], **rule}], user("jane"))
    resource, subresource, name = wanted
    asked = Attributes("get", "", resource, subresource, "shop", name)
    assert Authorizer(store).allowed(JANE, asked) is allowed


@pytest.mark.parametrize(
    ("subject", "who"),
    [
        ({"kind": "Group", "name": "dev"}, JANE),
        ({"kind": "ServiceAccount", "name": "robot"}, account_user("shop", "robot")),
        ({"kind": "ServiceAccount", "name": "robot", "namespace": "lab"}, account_user("lab", "robot")),
        ({"kind": "Group", "name": "system:serviceaccounts:lab"}, account_user("lab", "robot")),
    ],
)
def test_subjects_are_users_groups_and_accounts(store, subject, who):
    bind(store, [READ_PODS], subject)
    assert Authorizer(store).allowed(who, Attributes("get", "", "pods", namespace="shop"))
    assert not Authorizer(store).allowed(OPS, Attributes("get", "", "pods", namespace="shop"))


def test_a_cluster_binding_holds_everywhere_and_for_paths(store):
    rules = [READ_PODS, {"nonResourceURLs": ["/version", "/api/*"], "verbs": ["get"]}]
    bind(store, rules, user("jane"), namespace="")
    allowed = Authorizer(store).allowed
    assert allowed(JANE, Attributes("list", "", "pods"))
    assert allowed(JANE, Attributes("list", "", "pods", namespace="other"))
    assert allowed(JANE, Attributes("get", path="/api/v1"))
    assert not allowed(JANE, Attributes("get", path="/metrics"))


def test_masters_may_everything(store):
    assert Authorizer(store).allowed(User("root", ("system:masters",)), Attributes("delete", "x", "y"))


def test_a_binding_to_a_role_that_is_gone_gives_nothing(store):
    bind(store, [READ_PODS], user("jane"))
    store.delete(ROLES, "shop", "r1")
    assert not Authorizer(store).allowed(JANE, Attributes("get", "", "pods", namespace="shop"))


def test_refusals_are_worded_as_the_authorizer_words_them():
    text = Attributes("list", "batch", "jobs", namespace="shop").refusal(JANE)
    assert text == 'User "jane" cannot list resource "jobs" in API group "batch" in the namespace "shop"'
    text = Attributes("create", "", "pods", "portforward").refusal(JANE)
    assert text == 'User "jane" cannot create resource "pods/portforward" in API group "" at the cluster scope'
    assert Attributes("get", path="/metrics").refusal(JANE) == 'User "jane" cannot get path "/metrics"'
