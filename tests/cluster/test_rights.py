"""Rights are asked for one by one, and each that is missing is named."""

import pytest
from fakes.kube import denied

from kttun.cluster.errors import ApiError
from kttun.cluster.login import log_in
from kttun.cluster.rights import FEATURES, check_rights, rules_for
from kttun.config import ClusterChoice
from kttun.errors import EnvironmentFaultError, UsageError

REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
VERBS = {"create", "delete", "get", "list", "patch", "watch"}


@pytest.fixture
def login(kube, write_kubeconfig):
    return log_in(ClusterChoice(kubeconfig=write_kubeconfig(kube.url)), {})


@pytest.fixture
def forbid(kube):
    """A function that forbids some (verb, resource)s and allows all others."""

    def set_up(*forbidden):
        def review(call):
            asked = call.body["spec"]["resourceAttributes"]
            resource = "/".join(filter(None, (asked["resource"], asked.get("subresource"))))
            return {"status": {"allowed": (asked["verb"], resource) not in forbidden}}

        kube.script["POST", REVIEWS] = review

    return set_up


def test_with_all_rights_nothing_is_missing(login, forbid):
    forbid()
    assert check_rights(login) == ()


def test_each_verb_of_each_rule_is_asked_for_in_the_namespace(login, forbid, kube):
    forbid()
    check_rights(login)
    asked = [call.body["spec"]["resourceAttributes"] for call in kube.calls]
    wanted = [
        {
            key: value
            for key, value in zip(
                ("namespace", "group", "resource", "subresource", "verb"),
                ("team", rule.group, *rule.resource.partition("/")[::2], verb),
                strict=True,
            )
            if value
        }
        for rule in FEATURES["connect"]
        for verb in rule.verbs
    ]
    assert asked == wanted
    assert {call.body["kind"] for call in kube.calls} == {"SelfSubjectAccessReview"}


def test_optional_rights_that_are_missing_are_told_and_no_error(login, forbid):
    forbid(("watch", "events"), ("create", "services"))
    assert check_rights(login) == ("watch events", "create services")


def test_every_needed_right_that_is_missing_is_named_in_one_error(login, forbid):
    forbid(("create", "jobs"), ("get", "pods/log"), ("create", "pods/portforward"), ("list", "events"))
    with pytest.raises(EnvironmentFaultError) as caught:
        check_rights(login)
    named = "create jobs, get pods/log, create pods/portforward"
    assert caught.value.message == f"missing rights in namespace team: {named}"
    assert "kttun rbac" in caught.value.hints[0]


@pytest.mark.parametrize("answer", [{}, {"status": None}, {"status": {}}, {"status": {"allowed": False}}])
def test_an_answer_that_does_not_allow_forbids(login, kube, answer):
    kube.script["POST", REVIEWS] = answer
    with pytest.raises(EnvironmentFaultError, match="missing rights"):
        check_rights(login)


def test_a_cluster_that_lets_nobody_ask_is_told(login, kube):
    kube.script["POST", REVIEWS] = denied("create", "selfsubjectaccessreviews", "authorization.k8s.io")
    with pytest.raises(ApiError, match="cannot check rights: jane may not create selfsubjectaccessreviews"):
        check_rights(login)


def test_a_feature_named_twice_counts_once():
    assert rules_for(["connect", "connect"]) == FEATURES["connect"]


def test_an_unknown_feature_is_wrong_usage():
    with pytest.raises(UsageError, match="unknown feature 'fly'") as caught:
        rules_for(["connect", "fly"])
    assert caught.value.hints == ("known: connect",)


def test_no_rule_asks_for_everything():
    rules = [rule for rules in FEATURES.values() for rule in rules]
    assert all(set(rule.verbs) <= VERBS for rule in rules)
    assert not any("*" in rule.group + rule.resource for rule in rules)
    assert not any("secrets" in rule.resource for rule in rules)
    assert all(rule.why and not rule.why.endswith(".") for rule in rules)
