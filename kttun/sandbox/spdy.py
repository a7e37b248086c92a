"""The server's side of a SPDY/3.1 port-forward: pairs of streams, each pair one connection into the pod.

The client opens an error stream and a data stream with the same `requestid` (Go module `k8s.io/cri-streaming`, package
portforward). The data stream carries the connection; the error stream carries text when it fails. When it is over both
are finished, the data stream first.

Facts of SPDY: protocol draft 3.1, sections 2.2 (framing), 2.6 (control frames), 2.6.10.1 (dictionary of header
compression). Every frame has 8 bytes of header: DATA is a stream id, then flags and a 24-bit length; a control frame
has its top bit set, version and type, then the same. Clients in Go compress headers with the dictionary; others may
leave it out, for a zlib stream says in its header whether it refers to one (RFC 1950, FDICT).
"""

from __future__ import annotations

import asyncio
import struct
import zlib
from typing import TYPE_CHECKING, NamedTuple

from kttun.sandbox.relay import ConnectError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from kttun.sandbox.relay import Relay

    Connect = Callable[[int, Callable[[bytes], Awaitable[None]]], Awaitable[Relay]]

CONTROL_VERSION = 0x8003
"""Control bit and version 3; SPDY/3.1 kept the number."""
SYN_STREAM, SYN_REPLY, RST_STREAM, PING, GOAWAY = 1, 2, 3, 6, 7
FIN = 1
LARGEST = 1 << 20
"""Bytes of the largest frame that is taken: clients send what they have read at once, 64 KiB or less."""
MOST_FORWARDS = 1000
"""Connections that one client may have open at a time in one port-forward."""

_HEAD = struct.Struct("!II")

_WORDS = (
    "options head post put delete trace accept accept-charset accept-encoding accept-language accept-ranges age allow "
    "authorization cache-control connection content-base content-encoding content-language content-length "
    "content-location content-md5 content-range content-type date etag expect expires from host if-match "
    "if-modified-since if-none-match if-range if-unmodified-since last-modified location max-forwards pragma "
    "proxy-authenticate proxy-authorization range referer retry-after server te trailer transfer-encoding upgrade "
    "user-agent vary via warning www-authenticate method get status 200|OK version HTTP/1.1 url public set-cookie "
    "keep-alive origin"
)
_TAIL = (
    "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505"
    "203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 Forbidden"
    "404 Not Found500 Internal Server Error501 Not Implemented503 Service Unavailable"
    "Jan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMT"
    "chunked,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,text/javascript,"
    "publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0."
)
DICTIONARY = (
    b"".join(struct.pack("!I", len(word)) + word.replace("|", " ").encode() for word in _WORDS.split()) + _TAIL.encode()
)
"""The protocol's preset dictionary: words with their lengths, then a text. Its Adler-32 is 0xe3c6a7c2."""


class SpdyError(Exception):
    """What came is no SPDY/3.1."""


class Frame(NamedTuple):
    """One frame; `number` is the type of a control frame, or the stream that a DATA frame belongs to."""

    is_control: bool
    number: int
    flags: int
    body: bytes


async def read_frame(reader: asyncio.StreamReader) -> Frame:
    """Read the next frame. Raises `SpdyError`, `asyncio.IncompleteReadError` and `ConnectionError`."""
    first, second = _HEAD.unpack(await reader.readexactly(_HEAD.size))
    flags, size, is_control = second >> 24, second & 0xFFFFFF, bool(first >> 31)
    if (is_control and first >> 16 != CONTROL_VERSION) or size > LARGEST:
        raise SpdyError("no SPDY/3.1")
    return Frame(is_control, first & 0xFFFF if is_control else first, flags, await reader.readexactly(size))


def control(kind: int, body: bytes, flags: int = 0) -> bytes:
    """Give a control frame."""
    return _HEAD.pack(CONTROL_VERSION << 16 | kind, flags << 24 | len(body)) + body


def data(stream: int, piece: bytes = b"", *, fin: bool = False) -> bytes:
    """Give a DATA frame."""
    return _HEAD.pack(stream, (FIN if fin else 0) << 24 | len(piece)) + piece


class SpdyServer:
    """Serves one client. `connect(port, send)` connects to the pod and raises `ConnectError`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connect: Connect) -> None:
        self._reader, self._writer, self._connect = reader, writer, connect
        self._inflate, self._deflate = zlib.decompressobj(zdict=DICTIONARY), zlib.compressobj()
        self._waiting: dict[str, dict[str, int]] = {}
        self._relays: dict[int, Relay] = {}

    async def run(self) -> None:
        """Serve until the client has gone or speaks nonsense."""
        async with asyncio.TaskGroup() as forwards:
            try:
                while await self._obey(await read_frame(self._reader), forwards):
                    pass
            except (SpdyError, ConnectionError, asyncio.IncompleteReadError):
                return
            finally:
                for relay in self._relays.values():
                    relay.close()

    async def _obey(self, frame: Frame, forwards: asyncio.TaskGroup) -> bool:
        """Do what a frame says; tell whether more may come."""
        if not frame.is_control:
            if (relay := self._relays.get(frame.number)) is not None:
                await relay.feed(frame.body)
                if frame.flags & FIN:
                    relay.feed_eof()
        elif frame.number == SYN_STREAM:
            await self._open(frame, forwards)
        elif frame.number == PING:
            await self._write(control(PING, frame.body))
        elif frame.number == RST_STREAM and len(frame.body) == 8:
            (stream, _) = struct.unpack("!II", frame.body)
            if stream in self._relays:
                self._relays[stream].close()
        return not (frame.is_control and frame.number == GOAWAY)

    async def _open(self, frame: Frame, forwards: asyncio.TaskGroup) -> None:
        stream, headers = self._read_headers(frame.body)
        # Without any header, and without the dictionary: both are allowed.
        block = self._deflate.compress(struct.pack("!I", 0)) + self._deflate.flush(zlib.Z_SYNC_FLUSH)
        await self._write(control(SYN_REPLY, struct.pack("!I", stream) + block))
        pair = self._waiting.setdefault(headers.get("requestid", ""), {})
        pair[headers.get("streamtype", "")] = stream
        if {"error", "data"} <= pair.keys():
            del self._waiting[headers.get("requestid", "")]
            await self._forward(headers.get("port", ""), pair["data"], pair["error"], forwards)
        elif len(self._waiting) + len(self._relays) > MOST_FORWARDS:
            raise SpdyError("too many streams")

    def _read_headers(self, body: bytes) -> tuple[int, dict[str, str]]:
        """Give stream id and headers of a SYN_STREAM frame's body. Raises `SpdyError`."""
        try:
            (stream,) = struct.unpack_from("!I", body)
            # After it: parent stream, priority, credential slot.
            block = self._inflate.decompress(body[10:], LARGEST)
            (count,), texts, place = struct.unpack_from("!I", block), [], 4
            for _ in range(2 * count):
                (size,) = struct.unpack_from("!I", block, place)
                texts.append(block[place + 4 : place + 4 + size].decode())
                place += 4 + size
        except (struct.error, zlib.error, UnicodeDecodeError) as error:
            raise SpdyError("headers cannot be read") from error
        return stream & 0x7FFFFFFF, {name.lower(): value for name, value in zip(texts[::2], texts[1::2], strict=True)}

    async def _forward(self, port: str, stream: int, error: int, forwards: asyncio.TaskGroup) -> None:
        try:
            number = int(port) if port.isdecimal() else 0
            relay = await self._connect(number, lambda piece: self._write(data(stream, piece)))
        except ConnectError as failed:
            await self._finish(stream, error, str(failed))
            return
        self._relays[stream] = relay
        forwards.create_task(self._run(relay, stream, error))

    async def _run(self, relay: Relay, stream: int, error: int) -> None:
        await relay.run()
        del self._relays[stream]
        await self._finish(stream, error, "")

    async def _finish(self, stream: int, error: int, text: str) -> None:
        frames = data(stream, fin=True) + (data(error, text.encode()) if text else b"") + data(error, fin=True)
        try:
            await self._write(frames)
        except ConnectionError:
            return  # nobody is left to be told

    async def _write(self, frames: bytes) -> None:
        self._writer.write(frames)
        await self._writer.drain()
