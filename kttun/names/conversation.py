"""DNS over one TCP connection: two bytes of length before each message, several questions at a time (RFC 7766)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from kttun.names.answering import Answerer

PIPELINED: Final = 16
"""Queries of one connection in work at once; no more is read until one is answered. Answers go out as they come (RFC
7766 section 6.2.1.1)."""
IDLE_S: Final = 10.0
"""A client that neither asks nor takes its answers for so long is cut off (RFC 7766 section 6.2.3), seconds."""


async def converse(answerer: Answerer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Serve one client until it ends, idles or breaks the framing.

    After its half-close the answers under way are still sent. The caller closes `writer`. Whatever the client does is
    an end here, never an error.
    """
    slots = asyncio.Semaphore(PIPELINED)
    try:
        async with asyncio.TaskGroup() as group:
            while query := await _next_query(reader):
                await slots.acquire()
                group.create_task(_reply(answerer, query, writer, slots))
    except* OSError:  # the client has gone, or does not read; TimeoutError is an OSError
        pass


async def _next_query(reader: asyncio.StreamReader) -> bytes | None:
    try:
        async with asyncio.timeout(IDLE_S):
            return await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))
    except (OSError, asyncio.IncompleteReadError):
        return None


async def _reply(answerer: Answerer, query: bytes, writer: asyncio.StreamWriter, slots: asyncio.Semaphore) -> None:
    try:
        answer = await answerer.answer(query, stream=True)
        if answer is not None:
            writer.write(len(answer).to_bytes(2, "big") + answer)
            async with asyncio.timeout(IDLE_S):
                await writer.drain()
    finally:
        slots.release()
