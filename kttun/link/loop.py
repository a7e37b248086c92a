"""One thread over a few file descriptors: epoll, call-backs, and a bell that other threads may ring.

The loop knows nothing of packets. It waits, calls what belongs to each ready descriptor, then runs the turn's end (the
pump sends there, so that all that came in one wake-up leaves together) and waits again for as long as that one says.
"""

from __future__ import annotations

import os
import select
import threading
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

READABLE = select.EPOLLIN
WRITABLE = select.EPOLLOUT


class Loop:
    """Waits for descriptors and calls back; all but `call_soon` and `stop` is for the loop's own thread."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._watched: dict[int, Callable[[int], None]] = {}
        self._soon: deque[Callable[[], None]] = deque()
        self._stopped = False
        self._closing = threading.Lock()
        self._closed = False
        self.watch(self._bell, self._ring)

    def watch(self, fd: int, callback: Callable[[int], None], mask: int = READABLE) -> None:
        """Call `callback(mask)` whenever `fd` is ready for one of `mask`, or is broken (select.EPOLLERR, EPOLLHUP).

        A descriptor that is watched already changes its call-back and mask.
        """
        if fd in self._watched:
            self._epoll.modify(fd, mask)
        else:
            self._epoll.register(fd, mask)
        self._watched[fd] = callback

    def forget(self, fd: int) -> None:
        """Watch `fd` no longer; before it is closed. Nothing happens if it is not watched."""
        if self._watched.pop(fd, None):
            self._epoll.unregister(fd)

    def add_reader(self, fd: int, callback: Callable[[], None]) -> None:
        """Call `callback()` whenever `fd` is readable, at its end or broken; `forget` ends it."""
        self.watch(fd, lambda _mask: callback())

    def call_soon(self, callback: Callable[[], None]) -> None:
        """Call `callback()` in the loop's thread, soon; from any thread. After `close` nothing happens."""
        self._soon.append(callback)
        with self._closing:
            if not self._closed:
                os.eventfd_write(self._bell, 1)

    def stop(self) -> None:
        """Let `run` return after the calls that were asked for before; from any thread, also before `run`."""
        self.call_soon(self._stop)

    def _stop(self) -> None:
        self._stopped = True

    def run(self, turn_ends: Callable[[], float | None]) -> None:
        """Run until `stop`. `turn_ends()` is called after each wake-up and gives the longest next wait, in seconds.

        None waits for ever. Whatever a call-back raises leaves here; the loop may be run again.
        """
        while not self._stopped:
            self.turn(turn_ends())
        self._stopped = False

    def turn(self, timeout: float | None) -> None:
        """Wait at most `timeout` seconds (0: not at all; None: for ever) and call back what is ready."""
        for fd, mask in self._epoll.poll(timeout):
            callback = self._watched.get(fd)
            if callback is not None:  # None: an earlier call-back of this turn has forgotten it
                callback(mask)

    def close(self) -> None:
        """Free the loop's own descriptors; watched ones stay open."""
        with self._closing:
            if not self._closed:
                self._closed = True
                os.close(self._bell)
                self._epoll.close()

    def _ring(self, _mask: int) -> None:
        os.eventfd_read(self._bell)
        for _ in range(len(self._soon)):
            self._soon.popleft()()
