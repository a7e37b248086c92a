"""The printed Role without one of its verbs: what the API refuses, and what kttun makes of it."""

from __future__ import annotations

import json

import pytest
import yaml
from kubernetes.client import ApiException

from kttun.cluster.rights import rules_for

from .conftest import TABLE
from .lab import LAB, add_user, printed_roles
from .laptop import Laptop
from .waiting import until

pytestmark = pytest.mark.cluster

NAMESPACE, USER, NAME = "feature-1", "weak", "some"
VERBS = [(rule, verb) for rule in rules_for(["connect"]) for verb in rule.verbs]
METHODS = {"get": "get", "list": "get", "watch": "get", "create": "create", "patch": "patch", "delete": "delete"}
"""The method of `Rest` that asks for a verb (Kubernetes API: "Determine the request verb")."""
OF_ONE = {"get", "patch", "delete"}
"""Verbs that name one object; a subresource always belongs to one."""


def roles_without(rule, verb):
    """Give the printed Role and its binding, one verb less, under a name of their own."""
    role, binding = yaml.safe_load_all(printed_roles(USER, NAMESPACE))
    for each in role["rules"]:
        if (each["apiGroups"], each["resources"]) == ([rule.group], [rule.resource]):
            each["verbs"] = [kept for kept in each["verbs"] if kept != verb]
    role["rules"] = [each for each in role["rules"] if each["verbs"]]
    for document in (role, binding):
        document["metadata"]["name"] = USER
    binding["roleRef"]["name"] = USER
    return yaml.safe_dump_all([role, binding])


@pytest.fixture(scope="module")
def weak(dev):
    """A cluster user who has no rights yet."""
    add_user(USER, NAMESPACE, "")
    return LAB.user(USER)


def refusal(user, rule, verb):
    """Let a user ask for something; give the Status by which the API refuses it, or None if it does not."""
    resource, _, subresource = rule.resource.partition("/")
    path = f"/{f'apis/{rule.group}' if rule.group else 'api'}/v1/namespaces/{NAMESPACE}/{resource}"
    if subresource:
        path += f"/{NAME}/{subresource}"
    elif verb in OF_ONE:
        path += f"/{NAME}"
    body = [{}] if verb in {"create", "patch", "delete"} else []
    query = {"watch": "true", "timeoutSeconds": 1} if verb == "watch" else {}
    try:
        user.call(lambda: getattr(user.rest, METHODS[verb])(path, *body, **query))
    except ApiException as error:
        return json.loads(error.body) if error.status == 403 else None
    return None


@pytest.mark.parametrize(("rule", "verb"), VERBS, ids=[f"{verb} {rule.resource}" for rule, verb in VERBS])
def test_without_one_verb_of_the_printed_role(weak, request, rule, verb):
    LAB.admin.apply(roles_without(rule, verb), NAMESPACE)
    # An authorizer hears of a changed Role by a watch.
    status = until(lambda: refusal(weak, rule, verb), 10, f"{verb} {rule.resource} refused")
    resource, _, subresource = rule.resource.partition("/")
    what = f"{resource}.{rule.group}" if rule.group else resource
    which = f' "{NAME}"' if subresource or verb in OF_ONE else ""
    assert status["message"] == (
        f'{what}{which} is forbidden: User "system:serviceaccount:{NAMESPACE}:{USER}" cannot {verb} resource '
        f'"{rule.resource}" in API group "{rule.group}" in the namespace "{NAMESPACE}"'
    )
    assert (status["kind"], status["reason"], status["code"]) == ("Status", "Forbidden", 403)

    done = Laptop(USER).kttun("up", NAMESPACE, "--dry-run")
    rights, errors = (
        [line for line in done.stderr.splitlines() if line.startswith(start)] for start in ("+ rights", "kttun: ")
    )
    request.config.stash[TABLE].append(f"{verb} {rule.resource}: exit code {done.returncode}, {(errors or rights)[0]}")
    if rule.optional:
        assert (done.returncode, errors) == (0, [])
        assert f"all but the optional {verb} {rule.resource}" in rights[0]
    else:
        assert (done.returncode, rights) == (1, [])
        assert errors == [f"kttun: missing rights in namespace {NAMESPACE}: {verb} {rule.resource}"]
