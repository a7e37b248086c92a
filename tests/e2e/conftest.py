"""The lab made ready once: workloads, gateway image, and the user `dev`, who holds what `kttun rbac` prints."""

from __future__ import annotations

import fcntl
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from . import image, lab
from .laptop import Laptop

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .running import Up

HERE = Path(__file__).parent
TEST_S = 120


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "reshapes: brings the cluster up anew in another shape; such tests come last")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.get_closest_marker("reshapes") is not None)
    for item in items:
        if item.path.parent == HERE and item.get_closest_marker("timeout") is None:
            # Making the lab ready is no part of any test.
            item.add_marker(pytest.mark.timeout(TEST_S, func_only=True))


def prepare() -> None:
    """Make the running cluster ready for the tests; what is there already stays as it is."""
    lab.cluster("workloads")
    image.provide()
    lab.add_user("dev", "feature-1", lab.printed_roles("dev", "feature-1"))


@pytest.fixture(scope="session", autouse=True)
def _ready() -> Iterator[None]:
    """Have the laptop for ourselves: tests compare it before and after."""
    with (lab.DIRECTORY / "e2e.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        status = subprocess.run([lab.CLUSTER, "status"], capture_output=True, text=True, check=False)
        if status.returncode:
            pytest.exit(f"the cluster is not up: {status.stdout}\nhint: scripts/cluster build && scripts/cluster up", 1)
        prepare()
        yield


@pytest.fixture(scope="session")
def dev() -> Laptop:
    """The laptop of a developer with the printed Role."""
    return Laptop("dev")


@pytest.fixture(scope="session")
def admin() -> Laptop:
    """The laptop of an administrator of the cluster, who works as root."""
    return Laptop("admin")


@pytest.fixture(scope="module")
def connected(dev: Laptop) -> Iterator[Up]:
    """One session to feature-1 for all tests of a module that only look."""
    with dev.connected("feature-1") as up:
        yield up
