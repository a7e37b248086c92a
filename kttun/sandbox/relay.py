"""One connection into a pod, and its two directions: what every kind of port-forward is made of.

As containerd does it: when one direction has ended, the other has a second, then all is closed. Nothing is kept: each
direction reads on only when what it read has been taken.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

CHUNK = 64 * 1024
LINGER_S = 1.0


class ConnectError(Exception):
    """The pod was not reached; the text is what the client is told."""


class Relay:
    """A connection of a pod, as streams. `send` takes what the pod says; it may wait, and the pod waits with it.

    `awake` is waited for before anything is passed on, either way.
    """

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        send: Callable[[bytes], Awaitable[None]],
        awake: Callable[[], Awaitable[None]],
    ) -> None:
        self._reader, self._writer, self._send, self._awake = reader, writer, send, awake
        self._client_ended = asyncio.Event()

    async def run(self) -> None:
        """Pass on what the pod says until both directions have ended, or one and a second later."""
        down, up = asyncio.ensure_future(self._copy()), asyncio.ensure_future(self._client_ended.wait())
        try:
            await asyncio.wait({down, up}, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.wait({down, up}, timeout=LINGER_S)
        finally:
            down.cancel()
            up.cancel()
            await asyncio.gather(down, up, return_exceptions=True)
            self.close()

    async def feed(self, piece: bytes) -> None:
        """Pass on what the client says, and wait until the pod takes more; nothing happens when it has gone."""
        await self._awake()
        if self._writer.is_closing():
            return
        self._writer.write(piece)
        with contextlib.suppress(OSError):
            await self._writer.drain()

    def feed_eof(self) -> None:
        """Tell the pod that the client has no more to say."""
        if not self._writer.is_closing():
            with contextlib.suppress(OSError):
                self._writer.write_eof()
        self._client_ended.set()

    def close(self) -> None:
        """Close the connection at once; may be called twice."""
        self._writer.transport.abort()

    async def _copy(self) -> None:
        with contextlib.suppress(ConnectionError):
            while piece := await self._reader.read(CHUNK):
                await self._awake()
                await self._send(piece)
