"""Selectors as tables: what fits, what does not, and what is nonsense."""

import pytest

from kttun.sandbox.selectors import matches_labels, matching
from kttun.sandbox.status import StatusError

FOUND = {"metadata": {"name": "a", "labels": {"app": "web", "tier": "front"}}, "status": {"phase": "Running"}}


@pytest.mark.parametrize(
    ("labels", "fits"),
    [
        ("", True),
        ("app=web", True),
        ("app==web, tier = front", True),
        ("app=db", False),
        ("app!=db", True),
        ("zone!=north", True),
        ("app", True),
        ("zone", False),
        ("!zone", True),
        ("!app", False),
        ("app in (db, web)", True),
        ("app in (db),tier", False),
        ("app in(web),tier", True),
        ("app notin (db,cache)", True),
        ("zone notin (north)", True),
        ("zone in (north)", False),
    ],
)
def test_labels_are_matched_as_kubernetes_does(labels, fits):
    assert matching(labels)(FOUND) is fits


@pytest.mark.parametrize(
    ("fields", "fits"),
    [
        ("metadata.name=a", True),
        ("metadata.name=a,status.phase!=Failed", True),
        ("status.phase=Failed", False),
        ("spec.nodeName=", True),
        ("metadata.name.deeper=x", False),
    ],
)
def test_fields_are_found_by_their_path(fields, fits):
    assert matching(fields=fields)(FOUND) is fits


@pytest.mark.parametrize("selector", [{"labels": "a b"}, {"labels": "=x"}, {"fields": "metadata.name"}])
def test_nonsense_is_a_bad_request(selector):
    with pytest.raises(StatusError) as refused:
        matching(**selector)
    assert refused.value.code == 400


@pytest.mark.parametrize(
    ("selector", "fits"),
    [
        (None, True),
        ({"matchLabels": {"app": "web"}}, True),
        ({"matchExpressions": [{"key": "app", "operator": "In", "values": ["web", "db"]}]}, True),
        ({"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["web"]}]}, False),
        ({"matchExpressions": [{"key": "app", "operator": "Exists"}]}, True),
        ({"matchExpressions": [{"key": "app", "operator": "DoesNotExist"}]}, False),
    ],
)
def test_a_selector_object_is_matched(selector, fits):
    assert matches_labels(selector, FOUND["metadata"]["labels"]) is fits
