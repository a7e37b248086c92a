"""The bytes of a stream that have come and are not yet used: one fixed block of memory, filled in place.

Bytes are added at `end` and used up from `start`. Whenever all are used both go back to the front for nothing; only a
record cut by the block's end is ever moved, and with `CAPACITY` four times `ROOM` that is rare.
"""

from __future__ import annotations

from kttun.protocol.errors import LocalProtocolError

ROOM = 128 * 1024
"""Bytes that are free at least whenever the caller asks for room: more than a carrier gives in one system call."""
CAPACITY = 4 * ROOM
"""Holds the longest record twice besides `ROOM`, and stays inside a second-level cache."""


class ReceiveBuffer:
    """Bytes `view[start:end]` wait to be used; `view` is the whole block."""

    def __init__(self) -> None:
        self.view = memoryview(bytearray(CAPACITY))
        self.start = 0
        self.end = 0

    def __len__(self) -> int:
        return self.end - self.start

    def room(self) -> memoryview:
        """Give the free bytes at the end, `ROOM` of them at least, to be filled from the front.

        Raises `LocalProtocolError` when so much waits that there is no room: use the records first.
        """
        if CAPACITY - self.end < ROOM:
            self._compact()
        return self.view[self.end :]

    def _compact(self) -> None:
        waiting = len(self)
        if CAPACITY - waiting < ROOM:
            raise LocalProtocolError("no room to receive: records wait, ask for more() until there are none")
        self.view[:waiting] = self.view[self.start : self.end]
        self.start, self.end = 0, waiting

    def received(self, n: int) -> None:
        """Note that `n` bytes were written to the front of `room()`; `LocalProtocolError` when that cannot be."""
        if not 0 <= n <= CAPACITY - self.end:
            raise LocalProtocolError(f"{n} bytes cannot have been received into a room of {CAPACITY - self.end}")
        self.end += n

    def consume(self, n: int) -> None:
        """Drop the `n` oldest of the waiting bytes."""
        self.start += n
        if self.start == self.end:
            self.start = self.end = 0

    def take(self, n: int) -> bytes:
        """Copy out the `n` oldest of the waiting bytes and drop them."""
        data = self.view[self.start : self.start + n].tobytes()
        self.consume(n)
        return data
