"""Each privileged act, as the command line that a person would type for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

SHOWN_OF_A_BATCH = 20
"""Lines of one batch that are shown; thousands of routes are counted instead."""


class Echo:
    """Collects what was done until somebody takes it; failures of an undo are kept apart and never lost."""

    def __init__(self) -> None:
        self.failures: list[str] = []
        self._lines: list[str] = []

    def did(self, line: str) -> None:
        """Report one act that was done."""
        self._lines.append(line)

    def did_all(self, lines: Sequence[str]) -> None:
        """Report a batch of like acts, shortened when it is long."""
        self._lines.extend(lines[:SHOWN_OF_A_BATCH])
        if len(lines) > SHOWN_OF_A_BATCH:
            self._lines.append(f"# and {len(lines) - SHOWN_OF_A_BATCH} more like these")

    def failed(self, what: str, error: Exception) -> None:
        """Report a step that could not be done, and go on."""
        self.failures.append(f"{what}: {error}")

    def take(self) -> tuple[str, ...]:
        """Return the lines since the last call."""
        lines = tuple(self._lines)
        self._lines.clear()
        return lines
