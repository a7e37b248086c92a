"""What a container wrote, by lines with their time, and no more than it may cost.

A container writes into a pipe; both its outputs are one here. A line ends at its newline or when it grows too long.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import os
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

LARGEST = 1 << 20
"""Bytes that are kept of one container's words; the oldest go first."""
LONGEST_LINE = 1 << 14
"""Bytes after which a line is cut, as container runtimes do."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line, its newline included, and when it was read (UTC)."""

    time: dt.datetime
    text: bytes


class Journal:
    """One run of a container; `writer` is for the container and is to be closed here once it has been passed on."""

    def __init__(self) -> None:
        self._reader, self.writer = os.pipe()
        os.set_blocking(self._reader, False)
        self._lines: deque[Line] = deque()
        self._size = 0
        self._dropped = 0
        self._rest = b""
        self._news = asyncio.Event()
        self.ended = False
        """Whether nothing will come any more: every process of the container is gone."""
        asyncio.get_running_loop().add_reader(self._reader, self._read)

    def lines(self) -> list[Line]:
        """Give what is kept."""
        return list(self._lines)

    async def follow(self, first: int = 0) -> AsyncIterator[Line]:
        """Yield what is kept, from the line `first` of `lines`, then what comes, until the container's end."""
        place = self._dropped + first
        while True:
            place = max(place, self._dropped)
            if place < self._dropped + len(self._lines):
                yield self._lines[place - self._dropped]
                place += 1
            elif self.ended:
                return
            else:
                self._news.clear()
                await self._news.wait()

    async def end(self) -> None:
        """Wait until everything is read that the container wrote."""
        while not self.ended:
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
        self.ended = True
        if self._rest:
            self._add(self._rest)
        self._news.set()

    def _add(self, text: bytes) -> None:
        self._lines.append(Line(dt.datetime.now(dt.UTC), text))
        self._size += len(text)
        while self._size > LARGEST:
            self._size -= len(self._lines.popleft().text)
            self._dropped += 1
        self._news.set()
