"""Signals as one exception in the main thread, raised once; while things are undone, further ones do nothing.

Ctrl-C reaches the worker from the terminal and once more through the helper, and an impatient user presses it again:
none of that may break the undo half-way.

The handlers stay for good, they only stop to raise. SIG_IGN would not do: programs that the undo starts would inherit
it (execve(2)), and Python complains of a signal that came before it and whose handler is gone ("ignored due to race
condition").
"""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

_WATCHED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(BaseException):
    """Somebody asked this process to end."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number

    @property
    def exit_code(self) -> int:
        """The shell's convention: 128 plus the signal's number (130 Ctrl-C, 143 SIGTERM, 129 SIGHUP)."""
        return 128 + self.number


class _Once:
    """A handler for all of them, which raises at the first signal only."""

    def __init__(self) -> None:
        self.over = self._held = False
        self._waiting: int | None = None

    def __call__(self, number: int, _frame: FrameType | None) -> None:
        if self._held:
            self._waiting = self._waiting or number
        elif not self.over:
            self.over = True
            raise Interrupted(number)

    @contextmanager
    def held_back(self) -> Iterator[None]:
        """Raise only at the end of the block, which must be short: what it begins is noted before anything is undone.

        A program that is being started runs before its caller knows it; an exception in between would lose it.
        """
        self._held = True
        try:
            yield
        finally:
            self._held = False
        if self._waiting is not None:
            self(self._waiting, None)


@contextmanager
def interrupts() -> Iterator[_Once]:
    """Raise `Interrupted` in the main thread at the first SIGINT, SIGTERM or SIGHUP of the block.

    From its end on they do nothing, however it ends: what follows is the undo. One that is ignored already stays so:
    that is what nohup(1) asks for. What it gives can hold the exception back for a moment (`held_back`).
    """
    handler = _Once()
    for number in _WATCHED:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, handler)
    try:
        yield handler
    finally:
        handler.over = True
