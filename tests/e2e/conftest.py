"""The provider chosen by --provider, made ready once, and a summary that says how many tests ran on which."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from .lab import LAB
from .laptop import Laptop
from .real import RealKubernetes
from .sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .running import Up

HERE = Path(__file__).parent
NODES = "tests/e2e/"
TEST_S = 120
PROVIDERS = {each.name: each for each in (Sandbox, RealKubernetes)}


TABLE = pytest.StashKey[list[str]]()
"""What became of `up` without each verb of the printed Role, as lines for the summary."""


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("end to end")
    group.addoption("--provider", choices=list(PROVIDERS), default="sandbox", help="the cluster of the e2e tests")
    group.addoption("--ran", type=Path, metavar="FILE", help="where the names of the e2e tests go that were run")


def pytest_configure(config: pytest.Config) -> None:
    # Without the directory on pytest's command line its options are not known.
    LAB.provider = PROVIDERS[config.getoption("--provider", "sandbox")]()
    config.stash[TABLE] = []
    config.addinivalue_line("markers", "lingers: leaves something that ends by itself; such tests come first")
    config.addinivalue_line("markers", "waits: for what those have left; such tests come after all but the next")
    config.addinivalue_line("markers", "reshapes: brings the cluster up anew in another shape; such tests come last")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=_place)
    for item in items:
        if item.path.parent == HERE and item.get_closest_marker("timeout") is None:
            # Making the lab ready is no part of any test.
            item.add_marker(pytest.mark.timeout(TEST_S, func_only=True))


def _place(item: pytest.Item) -> int:
    """Give an item's place among the others: what is left to end by itself does so while the others run."""
    order = ("lingers", "waits", "reshapes")
    marks = [order.index(name) for name in order if item.get_closest_marker(name)]
    return [-1, 1, 2][marks[0]] if marks else 0


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say how many tests ran on which provider; a skipped test did not run."""
    ran = sorted(
        report.nodeid
        for outcome in ("passed", "failed")
        for report in terminalreporter.getreports(outcome)
        if report.when == "call" and report.nodeid.startswith(NODES)
    )
    if table := config.stash[TABLE]:
        terminalreporter.write_line(f"The printed Role without one verb, on {LAB.provider.name}:")
        terminalreporter.write_line("".join(f"  {row}\n" for row in table))
    if ran:
        terminalreporter.write_line(f"e2e: {len(ran)} on {LAB.provider.name}")
    if file := config.getoption("--ran", None):
        file.write_text("".join(f"{each}\n" for each in ran))


@pytest.fixture(scope="session", autouse=True)
def _ready() -> Iterator[None]:
    with LAB.provider.available():
        LAB.prepare()
        yield
        LAB.close()


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
