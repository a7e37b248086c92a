"""Bodies of a kubeconfig that would have broken something later: each is one line that names key and place."""

import pytest

from kttun.cluster.shapes import check_shape
from kttun.errors import EnvironmentFaultError

BROKEN = [
    ({"token": ["a"]}, "token is not a text"),
    ({"token": b"\xff"}, "token is not a text"),
    ({"tokenFile": "a\0b"}, "tokenFile is not a text"),
    ({"server": {"a": 1}}, "server is not a text"),
    ({"namespace": ["n"]}, "namespace is not a text"),
    ({"as-groups": 5}, "as-groups is not a list"),
    ({"as-groups": [["a"]]}, "as-groups holds something that is not a text"),
    ({"as-user-extra": ["a"]}, "as-user-extra is not a mapping"),
    ({"extensions": ["x"]}, "extensions holds something that is not a mapping"),
    ({"exec": [1]}, "exec is not a mapping"),
    ({"exec": {"args": 5}}, "args is not a list"),
    ({"exec": {"args": ["\0"]}}, "args holds something that is not a text"),
    ({"exec": {"command": "a\0"}}, "command is not a text"),
    ({"exec": {"env": {"A": "b"}}}, "env is not a list"),
    ({"exec": {"env": ["A=b"]}}, "env holds something that is not a mapping"),
    ({"exec": {"env": [{"value": "b"}]}}, "env holds something that is not a variable"),
    ({"exec": {"env": [{"name": "A=", "value": "b"}]}}, "env holds something that is not a variable"),
    ({"exec": {"env": [{"name": "A", "value": "\0"}]}}, "env holds something that is not a variable"),
]


@pytest.mark.parametrize(("body", "said"), BROKEN, ids=[said for _, said in BROKEN])
def test_what_cannot_be_is_named(body, said):
    with pytest.raises(EnvironmentFaultError) as caught:
        check_shape(body, "user jane of kubeconfig f")
    place = "exec of user jane" if isinstance(body.get("exec"), dict) else "user jane"
    assert caught.value.message.startswith(f"{place} of kubeconfig f is broken: {said}")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"token": None, "password": 1234, "as-groups": None, "exec": None},
        {"as-groups": ["a", 5], "as-user-extra": {"scope": ["x"]}},
        {"exec": {"command": "x", "args": ["a", 1, True], "env": [{"name": "A"}], "provideClusterInfo": True}},
        {"vendor.example/anything": [{"a": {"b": [b"c"]}}], "extensions": [{"name": "x", "extension": [1]}]},
        {"auth-provider": {"name": "oidc", "config": {"id-token": "x"}}},
    ],
)
def test_what_can_be_read_passes_and_so_does_what_is_not_ours(body):
    check_shape(body, "user jane")
