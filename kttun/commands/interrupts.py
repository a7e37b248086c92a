"""Signals as one exception in the main thread, raised once; while things are undone, further ones are ignored.

Ctrl-C reaches the worker from the terminal and once more through the helper, and an impatient user presses it again:
none of that may break the undo half-way.
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


@contextmanager
def interrupts() -> Iterator[None]:
    """Raise `Interrupted` in the main thread at the first SIGINT, SIGTERM or SIGHUP of the block.

    From its end on they are ignored, however it ends: what follows is the undo. One that is ignored already stays so:
    that is what nohup(1) asks for.
    """
    try:
        for number in _WATCHED:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, _raise)
        yield
    finally:
        _ignore()


def _ignore() -> None:
    for number in _WATCHED:
        signal.signal(number, signal.SIG_IGN)


def _raise(number: int, _frame: FrameType | None) -> None:
    _ignore()
    raise Interrupted(number)
