"""`kttun rbac` prints YAML and asks no cluster; the YAML itself is tested in the cluster room."""

import pytest
import yaml

from kttun.commands import rbac
from kttun.errors import UsageError


def documents(run, line):
    assert run(rbac, line) == 0
    return list(yaml.safe_load_all(run.out()))


def test_a_role_alone_without_somebody_to_bind(run):
    (role,) = documents(run, "rbac")
    assert role["kind"] == "Role"
    assert "namespace" not in role["metadata"]


@pytest.mark.parametrize(("option", "kind"), [("--user", "User"), ("--group", "Group")])
def test_somebody_who_is_named_is_bound(run, option, kind):
    role, binding = documents(run, f"rbac -n shop {option} jane@example.com")
    assert role["metadata"]["namespace"] == binding["metadata"]["namespace"] == "shop"
    assert [(each["kind"], each["name"]) for each in binding["subjects"]] == [(kind, "jane@example.com")]


@pytest.mark.parametrize("features", ["connect", "connect,", ",connect,connect"])
def test_features_are_a_comma_list(run, features):
    assert documents(run, f"rbac --features {features}") == documents(run, "rbac")


@pytest.mark.parametrize(("features", "words"), [("fly", "unknown feature 'fly'"), (",", "names no feature")])
def test_features_that_are_none_are_wrong_usage(run, features, words):
    with pytest.raises(UsageError, match=words) as caught:
        run(rbac, f"rbac --features {features}")
    assert "connect" in caught.value.hints[0]
    assert run.out() == ""
