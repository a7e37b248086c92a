"""Selectors as tables: what fits, what does not, and what is nonsense."""

import pytest

from kttun.sandbox.selectors import matching
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


@pytest.mark.parametrize(
    "selector", [{"labels": "a b"}, {"labels": "=x"}, {"labels": "a in (b)"}, {"fields": "metadata.name"}]
)
def test_nonsense_is_a_bad_request(selector):
    with pytest.raises(StatusError) as refused:
        matching(**selector)
    assert refused.value.code == 400
