"""Signals as one exception in the main thread; while things are undone, further ones do nothing.

Ctrl-C reaches the worker from the terminal and once more through the helper, and an impatient user presses it again:
none of that may break the undo half-way. So only the first signal is raised.

But it may be raised where Python drops it: in a destructor, or in a call-back of C code ("Exception ignored in"). Seen
while a library read an answer of the API server: the session went on as if nobody had asked. So a timer raises it
again until the block is left.

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
AGAIN_S = 1.0
"""Until an exception that has not arrived is raised again: longer than any clean-up inside the block takes."""


class Interrupted(BaseException):
    """Somebody asked this process to end."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number

    @property
    def exit_code(self) -> int:
        """The shell's convention: 128 plus the signal's number (130 Ctrl-C, 143 SIGTERM, 129 SIGHUP)."""
        return 128 + self.number


class Interrupts:
    """The handler of all watched signals: raises the first one, and again by the timer until it is `over`."""

    def __init__(self) -> None:
        self.over = self._held = False
        self._first: int | None = None

    def __call__(self, number: int, _frame: FrameType | None) -> None:
        """Take a signal; see signal.signal."""
        if self.over or (self._first is not None and number != signal.SIGALRM):
            return
        self._first = self._first or number
        signal.setitimer(signal.ITIMER_REAL, AGAIN_S)
        if not self._held:
            raise Interrupted(self._first)

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
        if self._first is not None and not self.over:
            raise Interrupted(self._first)

    def end(self) -> None:
        """Raise no more."""
        self.over = True
        signal.setitimer(signal.ITIMER_REAL, 0)


@contextmanager
def interrupts() -> Iterator[Interrupts]:
    """Raise `Interrupted` in the main thread at the first SIGINT, SIGTERM or SIGHUP of the block.

    From its end on they do nothing, however it ends: what follows is the undo. One that is ignored already stays so:
    that is what nohup(1) asks for. What it gives can hold the exception back for a moment (`held_back`). Takes the
    process's real-time timer (setitimer(2)) for itself.
    """
    handler = Interrupts()
    signal.signal(signal.SIGALRM, handler)
    for number in _WATCHED:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, handler)
    try:
        yield handler
    finally:
        handler.end()
