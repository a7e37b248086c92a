"""What people see while a command runs: steps, notes, warnings and errors, all on stderr.

No message ends in a full stop, meaning is never carried by colour alone, `hint:` lines follow what they explain.
"""

from __future__ import annotations

import os
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kttun.errors import KttunError

_GREEN, _YELLOW, _RED, _DIM, _BOLD = "32", "33", "31", "2", "1"


@dataclass
class Console:
    """Where progress goes. `color` is auto, always or never; NO_COLOR (no-color.org) turns auto off."""

    quiet: bool = False
    debug: bool = False
    color: str = "auto"
    stream: TextIO = field(default_factory=lambda: sys.stderr)
    started: float = field(default_factory=time.monotonic)
    timings: dict[str, float] = field(default_factory=dict)
    """Seconds each finished step took, by its name, in order."""

    @contextmanager
    def step(self, name: str) -> Iterator[Step]:
        """Time one step of a longer work and print its outcome as one line when it is done."""
        begun = time.monotonic()
        step = Step()
        try:
            yield step
        except BaseException:
            if not self.quiet:
                self._line(f"{self._paint(_RED, 'x')} {name:<10} failed")
            raise
        took = self.timings[name] = time.monotonic() - begun
        if not self.quiet:
            self._line(f"{self._paint(_GREEN, '+')} {name:<10} {step.outcome} {self._paint(_DIM, f'({took:.2f} s)')}")

    def say(self, text: str) -> None:
        """Print one plain line, unless quiet."""
        if not self.quiet:
            self._line(text)

    def act(self, command: str) -> None:
        """Echo a privileged act as the command a person would type; shown with --debug."""
        if self.debug:
            self._line(self._paint(_DIM, f"# {command}"))

    def detail(self, text: str) -> None:
        """Print one line that only --debug shows."""
        if self.debug:
            self._line(self._paint(_DIM, f"  {text}"))

    def warn(self, text: str, *hints: str) -> None:
        """Print a warning; shown even when quiet."""
        self._line(f"{self._paint(_YELLOW, 'kttun: warning:')} {text}")
        self._hints(hints)

    def fail(self, error: KttunError) -> None:
        """Print an error as one line and its hints."""
        self._line(f"{self._paint(_RED, 'kttun:')} {error.message}")
        self._hints(error.hints)

    def bold(self, text: str) -> str:
        """Make text stand out where colour is allowed."""
        return self._paint(_BOLD, text)

    def _hints(self, hints: tuple[str, ...]) -> None:
        for hint in hints:
            self._line(f"hint: {hint}")

    def _line(self, text: str) -> None:
        stamp = f"{time.monotonic() - self.started:7.3f} " if self.debug else ""
        try:
            self.stream.write(f"{stamp}{text}\n")
            self.stream.flush()
        except (OSError, ValueError):
            pass  # the terminal is gone (SIGHUP): the work of undoing goes on

    def _paint(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self._colored else text

    @property
    def _colored(self) -> bool:
        if self.color == "auto":
            unwanted = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" or self.stream.closed
            return not unwanted and self.stream.isatty()
        return self.color == "always"


@dataclass
class Step:
    """One step under way; set `outcome` to what shall stand in its line."""

    outcome: str = "done"
