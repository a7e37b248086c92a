"""A practice cluster for each test."""

import pytest
from practice import Practice


@pytest.fixture
def practice(tmp_path):
    made = Practice(tmp_path)
    yield made
    made.close()


@pytest.fixture
def shop(practice):
    """A practice cluster with the namespace shop, which admits everything."""
    practice.namespace("shop", **{"pod-security.kubernetes.io/enforce": "privileged"})
    return practice
