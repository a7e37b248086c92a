"""SPDY/3.1 frames as the server of a port-forward needs them, without I/O.

Facts: SPDY protocol draft 3.1, sections 2.2 (framing), 2.6 (control frames), 2.6.10.1 (dictionary of header
compression). Every frame has 8 bytes of header: DATA is a stream id, then flags and a 24-bit length; a control frame
has its top bit set, version and type, then the same. Clients in Go compress headers with the dictionary; others may
leave it out, for a zlib stream says in its header whether it refers to one (RFC 1950, FDICT).
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    Buffer = bytes | memoryview

CONTROL_VERSION = 0x8003
"""Control bit and version 3; SPDY/3.1 kept the number."""
SYN_STREAM, SYN_REPLY, RST_STREAM, PING, GOAWAY = 1, 2, 3, 6, 7
FIN = 1
MAX_CONTROL = 64 * 1024
"""Longest control frame that is believed: a client's are a few dozen bytes."""

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


@dataclass(frozen=True, slots=True)
class Data:
    """A piece of a DATA frame; `fin` says that the stream has no more."""

    stream: int
    piece: memoryview
    fin: bool


@dataclass(frozen=True, slots=True)
class Control:
    """A whole control frame."""

    kind: int
    flags: int
    body: bytes


class FrameReader:
    """Bytes in, frames out; a DATA frame comes in as many pieces as it arrives in, so nothing is kept of it."""

    def __init__(self) -> None:
        self._head = bytearray()
        self._control: tuple[int, int] | None = None
        self._body = bytearray()
        self._stream = self._left = 0
        self._fin = False

    def feed(self, data: bytes) -> Iterator[Data | Control]:
        """Yield what is complete now; exhaust it before feeding more. Raises `SpdyError`."""
        rest = memoryview(data)
        while rest or (self._control and not self._left):
            if self._control is not None:
                rest = self._collect(rest)
                if not self._left:
                    kind, flags = self._control
                    self._control = None
                    yield Control(kind, flags, bytes(self._body))
            elif self._left:
                piece, rest = rest[: self._left], rest[self._left :]
                self._left -= len(piece)
                yield Data(self._stream, piece, self._fin and not self._left)
            else:
                taken = _HEAD.size - len(self._head)
                self._head += rest[:taken]
                rest = rest[taken:]
                if len(self._head) == _HEAD.size and self._begin(*_HEAD.unpack(self._head)):
                    yield Data(self._stream, memoryview(b""), fin=True)

    def _begin(self, first: int, second: int) -> bool:
        """Take a header; tell whether it was an empty DATA frame that ends its stream."""
        self._head.clear()
        flags, self._left = second >> 24, second & 0xFFFFFF
        if first >> 31:
            if first >> 16 != CONTROL_VERSION or self._left > MAX_CONTROL:
                raise SpdyError("no SPDY/3.1")
            self._control = first & 0xFFFF, flags
            self._body.clear()
            return False
        self._stream, self._fin = first, bool(flags & FIN)
        return self._fin and not self._left

    def _collect(self, rest: memoryview) -> memoryview:
        piece, rest = rest[: self._left], rest[self._left :]
        self._body += piece
        self._left -= len(piece)
        return rest


class HeaderReader:
    """The headers of SYN_STREAM frames: one zlib stream a connection."""

    def __init__(self) -> None:
        self._inflate = zlib.decompressobj(zdict=DICTIONARY)

    def read(self, syn_stream: bytes) -> tuple[int, dict[str, str]]:
        """Give stream id and headers of a SYN_STREAM frame's body. Raises `SpdyError`."""
        try:
            (stream,) = struct.unpack_from("!I", syn_stream)
            # After it: parent stream, priority, credential slot.
            block = self._inflate.decompress(syn_stream[10:], MAX_CONTROL)
            (count,), texts, place = struct.unpack_from("!I", block), [], 4
            for _ in range(2 * count):
                (size,) = struct.unpack_from("!I", block, place)
                texts.append(block[place + 4 : place + 4 + size].decode())
                place += 4 + size
        except (struct.error, zlib.error, UnicodeDecodeError) as error:
            raise SpdyError("headers cannot be read") from error
        return stream & 0x7FFFFFFF, {name.lower(): value for name, value in zip(texts[::2], texts[1::2], strict=True)}


class HeaderWriter:
    """Answers to SYN_STREAM frames, without any header and without the dictionary: both are allowed."""

    def __init__(self) -> None:
        self._deflate = zlib.compressobj()

    def reply(self, stream: int) -> bytes:
        """Give the SYN_REPLY frame that accepts a stream."""
        block = self._deflate.compress(struct.pack("!I", 0)) + self._deflate.flush(zlib.Z_SYNC_FLUSH)
        return control(SYN_REPLY, struct.pack("!I", stream) + block)


def control(kind: int, body: bytes) -> bytes:
    """Give a control frame without flags."""
    return _HEAD.pack(CONTROL_VERSION << 16 | kind, len(body)) + body


def data_head(stream: int, size: int, *, fin: bool = False) -> bytes:
    """Give the header of a DATA frame with so many bytes."""
    return _HEAD.pack(stream, (FIN if fin else 0) << 24 | size)
