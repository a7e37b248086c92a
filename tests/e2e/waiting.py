"""Waiting for a condition of another process: asked again and again, since nobody can tell us."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
BETWEEN_S = 0.05


def until(condition: Callable[[], T], seconds: float, what: str) -> T:
    """Give the first true value of `condition`; fail when there was none in so many seconds."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, f"not within {seconds:g} s: {what}"
        time.sleep(BETWEEN_S)
    return value
