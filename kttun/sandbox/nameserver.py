"""Cluster DNS on sockets: UDP, and TCP with a length before each message (RFC 1035 section 4.2)."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from kttun.sandbox.names import Names

PORT = 53
LARGEST_UDP = 1232
"""Bytes of an answer by UDP, however much the asker would take (DNS flag day 2020)."""


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, names: Names) -> None:
        self._names = names

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if (answer := self._names.answer(data, LARGEST_UDP)) is not None:
            self._transport.sendto(answer, addr)


async def serve_names(names: Names, address: str) -> None:
    """Begin to answer on an address, by UDP and TCP. Raises `OSError`."""
    loop = asyncio.get_running_loop()
    await loop.create_datagram_endpoint(lambda: _Datagrams(names), (address, PORT))

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            while (answer := names.answer(await _message(reader))) is not None:
                writer.write(len(answer).to_bytes(2) + answer)
                await writer.drain()
        writer.close()

    await asyncio.start_server(converse, address, PORT)


async def _message(reader: asyncio.StreamReader) -> bytes:
    return await reader.readexactly(int.from_bytes(await reader.readexactly(2)))
