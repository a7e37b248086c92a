"""Patches: RFC 6902 and RFC 7386, and what is neither."""

import pytest

from kttun.sandbox.patches import JSON_PATCH, MERGE_PATCH, patched
from kttun.sandbox.status import StatusError

FOUND = {"metadata": {"name": "a", "labels": {"x": "1", "y": "2"}}, "spec": {"ports": [1, 2]}}


@pytest.mark.parametrize(
    ("patch", "expected"),
    [
        ({}, FOUND),
        ({"spec": {"ports": [3]}}, FOUND | {"spec": {"ports": [3]}}),
        ({"spec": None}, {"metadata": FOUND["metadata"]}),
        ({"metadata": {"labels": {"x": None, "z": "3"}}}, None),
        ({"new": {"deep": {"a": None, "b": 1}}}, FOUND | {"new": {"deep": {"b": 1}}}),
    ],
)
def test_a_merge_patch(patch, expected):
    expected = expected or FOUND | {"metadata": {"name": "a", "labels": {"y": "2", "z": "3"}}}
    assert patched(MERGE_PATCH, FOUND, patch) == expected


def test_the_original_stays_as_it_was():
    before = {"a": {"b": [1]}}
    made = patched(MERGE_PATCH, before, {"a": {"c": 2}})
    made["a"]["d"] = 3
    assert before == {"a": {"b": [1]}}


def test_a_json_patch():
    operations = [
        {"op": "test", "path": "/metadata/name", "value": "a"},
        {"op": "replace", "path": "/spec/ports/0", "value": 9},
        {"op": "remove", "path": "/metadata/labels/x"},
    ]
    made = patched(JSON_PATCH, FOUND, operations)
    assert made["spec"]["ports"] == [9, 2]
    assert made["metadata"]["labels"] == {"y": "2"}


@pytest.mark.parametrize(
    ("kind", "patch", "code"),
    [
        (JSON_PATCH, [{"op": "test", "path": "/metadata/name", "value": "b"}], 422),
        (JSON_PATCH, [{"op": "remove", "path": "/nowhere"}], 422),
        (JSON_PATCH, [{"op": "wish"}], 400),
        (MERGE_PATCH, [1], 400),
        ("application/strategic-merge-patch+json", {}, 415),
    ],
)
def test_what_cannot_be_done_is_refused(kind, patch, code):
    with pytest.raises(StatusError) as refused:
        patched(kind, FOUND, patch)
    assert refused.value.code == code
