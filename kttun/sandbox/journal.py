"""What a container wrote, by lines, and no more than it may cost.

A container writes into a pipe; both its outputs are one here. A line ends at its newline or when it grows too long.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

LARGEST = 1 << 20
"""Bytes that are kept of one container's words; the oldest go first."""
LONGEST_LINE = 1 << 14
"""Bytes after which a line is cut, as container runtimes do."""


class Journal:
    """One run of a container; `writer` is for the container and is to be closed here once it has been passed on."""

    def __init__(self) -> None:
        self._reader, self.writer = os.pipe()
        os.set_blocking(self._reader, False)
        self._lines: deque[bytes] = deque()
        self._size = self._dropped = 0
        self._rest = b""
        self._news = asyncio.Event()
        self._ended = False
        asyncio.get_running_loop().add_reader(self._reader, self._read)

    async def read(self, *, follow: bool = False, tail: int | None = None) -> AsyncIterator[bytes]:
        """Yield the lines that are kept, the last `tail` of them; with `follow` those that come, until the end."""
        place = self._dropped + (0 if tail is None else max(0, len(self._lines) - tail))
        while True:
            place = max(place, self._dropped)
            if place < self._dropped + len(self._lines):
                yield self._lines[place - self._dropped]
                place += 1
            elif self._ended or not follow:
                return
            else:
                self._news.clear()
                await self._news.wait()

    async def end(self) -> None:
        """Wait until everything is read that the container wrote: every process of it is gone."""
        while not self._ended:
            self._news.clear()
            await self._news.wait()

    def _read(self) -> None:
        data = b""
        with suppress(BlockingIOError):
            data = os.read(self._reader, 1 << 16)
            if not data:
                self._close()
                return
        *whole, self._rest = (self._rest + data).split(b"\n")
        for text in whole:
            self._add(text + b"\n")
        if len(self._rest) > LONGEST_LINE:
            self._add(self._rest)
            self._rest = b""

    def _close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._reader)
        os.close(self._reader)
        self._ended = True
        if self._rest:
            self._add(self._rest)
        self._news.set()

    def _add(self, line: bytes) -> None:
        self._lines.append(line)
        self._size += len(line)
        while self._size > LARGEST:
            self._size -= len(self._lines.popleft())
            self._dropped += 1
        self._news.set()
