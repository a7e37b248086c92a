"""Strategic merge patches: maps, keyed lists, sets and directives."""

import pytest

from kttun.sandbox.strategic import merged

FOUND = {
    "metadata": {"labels": {"a": "1", "b": "2"}, "finalizers": ["x", "y"]},
    "spec": {
        "containers": [{"name": "one", "image": "i:1", "args": ["a", "b"]}, {"name": "two", "image": "i:1"}],
        "ports": [{"port": 80, "targetPort": 8080}, {"port": 443}],
        "strategy": {"type": "Rolling", "rolling": {"n": 1}},
    },
}


@pytest.mark.parametrize(
    ("patch", "path", "expected"),
    [
        ({"metadata": {"labels": {"a": None, "c": "3"}}}, "metadata.labels", {"b": "2", "c": "3"}),
        ({"metadata": {"finalizers": ["y", "z"]}}, "metadata.finalizers", ["x", "y", "z"]),
        ({"metadata": {"$deleteFromPrimitiveList/finalizers": ["x"]}}, "metadata.finalizers", ["y"]),
        (
            {"spec": {"containers": [{"name": "two", "image": "i:2"}, {"name": "three", "image": "i:3"}]}},
            "spec.containers",
            [
                {"name": "one", "image": "i:1", "args": ["a", "b"]},
                {"name": "two", "image": "i:2"},
                {"name": "three", "image": "i:3"},
            ],
        ),
        (
            {"spec": {"containers": [{"name": "one", "$patch": "delete"}], "$setElementOrder/containers": []}},
            "spec.containers",
            [{"name": "two", "image": "i:1"}],
        ),
        (
            {"spec": {"containers": [{"name": "one", "args": ["c"]}, {"name": "two", "$patch": "delete"}]}},
            "spec.containers",
            [{"name": "one", "image": "i:1", "args": ["c"]}],
        ),
        ({"spec": {"containers": [{"$patch": "replace"}, {"name": "new"}]}}, "spec.containers", [{"name": "new"}]),
        (
            {"spec": {"ports": [{"port": 80, "targetPort": 9}]}},
            "spec.ports",
            [{"port": 80, "targetPort": 9}, {"port": 443}],
        ),
        ({"spec": {"strategy": {"$retainKeys": ["type"], "type": "New"}}}, "spec.strategy", {"type": "New"}),
        ({"spec": {"strategy": {"$patch": "replace", "type": "New"}}}, "spec.strategy", {"type": "New"}),
        ({"spec": {"ports": None}}, "spec.ports", None),
    ],
)
def test_what_stands_there_after_the_patch(patch, path, expected):
    here = merged(FOUND, patch)
    for step in path.split("."):
        here = here.get(step)
    assert here == expected


def test_the_original_stays_as_it_was():
    before = {"spec": {"containers": [{"name": "one", "env": [{"name": "A", "value": "1"}]}]}}
    patch = {"spec": {"containers": [{"name": "one", "env": [{"name": "A", "value": "2"}]}]}}
    assert merged(before, patch)["spec"]["containers"][0]["env"] == [{"name": "A", "value": "2"}]
    assert before["spec"]["containers"][0]["env"] == [{"name": "A", "value": "1"}]
