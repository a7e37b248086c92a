"""Frames: what a record's plaintext consists of, one behind the other without gaps.

    u32 big-endian    kind (high 8 bits), length of the body (low 24 bits)
    body

    kind             body
    0  PACKET        virtio_net_hdr (10 bytes, linux/virtio_net.h), then one whole IP packet
    1  CREDIT        u64   how many bytes of records with packets I have received on this lane (whole records: length
                           field, ciphertext and tag)
    2  WINDOW        u32   how many such bytes I let be under way at most, so that you know how often to credit
    3  PING          u64   anything; to be sent back
    4  PONG          u64   the same
    5  CLOSE         UTF-8 reason, at most 1024 bytes; the session is over
    6  SEQUENCE      u64   number of this record among those striped over several lanes (reserved; nobody sends it yet)

Numbers are big-endian. A kind not listed here is skipped and counted, so later versions may add some without asking.
PACKET is 0 so that a packet's header is its length alone, and most of the work on many small packets is done by `map`.
"""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import TYPE_CHECKING

from kttun.protocol.errors import LocalProtocolError, RemoteProtocolError
from kttun.protocol.records import RECORD_LIMIT

if TYPE_CHECKING:
    from collections.abc import Sequence

FRAME_HEADER = 4
"""Bytes in front of each body."""
VNET_HEADER = 10
"""Bytes of `struct virtio_net_hdr` without the mergeable-buffers field: the shortest packet as read from a TUN."""
CONTROL_LIMIT = 64
"""Bytes kept free in a record with packets, for the control frames that ride in front: one of each but CLOSE is 56."""
PACKETS_LIMIT = RECORD_LIMIT - CONTROL_LIMIT
"""Most bytes of packets in one record, `FRAME_HEADER` added for each."""
REASON_LIMIT = 1024
"""Longest reason of a CLOSE, bytes."""


class Kind(IntEnum):
    """The kinds of frames that this version knows."""

    PACKET = 0
    CREDIT = 1
    WINDOW = 2
    PING = 3
    PONG = 4
    CLOSE = 5
    SEQUENCE = 6


_KIND_SHIFT = 24
_LENGTH_MASK = (1 << _KIND_SHIFT) - 1
_HEADER = struct.Struct("!I")
_HEADER_U32 = struct.Struct("!II")
_HEADER_U64 = struct.Struct("!IQ")
_U32 = struct.Struct("!I")
_U64 = struct.Struct("!Q")

Packet = bytes | bytearray | memoryview


def packet_parts(packets: Sequence[Packet]) -> list[Packet]:
    """Give header, packet, header, packet..., to be joined: one PACKET frame for each.

    Raises `LocalProtocolError` for no packet at all, one shorter than its virtio_net_hdr, or more than
    `PACKETS_LIMIT`.
    """
    lengths = list(map(len, packets))
    total = sum(lengths) + FRAME_HEADER * len(lengths)
    if not lengths or min(lengths) < VNET_HEADER or total > PACKETS_LIMIT:
        raise LocalProtocolError(f"{len(lengths)} packets, {total} bytes as frames, make no record")
    parts: list[Packet] = [b""] * (2 * len(lengths))
    parts[0::2] = map(_HEADER.pack, lengths)
    parts[1::2] = packets
    return parts


def u32(kind: Kind, value: int) -> bytes:
    """Give a frame whose body is `value` as 32 bits."""
    return _HEADER_U32.pack(kind << _KIND_SHIFT | _U32.size, value)


def u64(kind: Kind, value: int) -> bytes:
    """Give a frame whose body is `value` as 64 bits."""
    return _HEADER_U64.pack(kind << _KIND_SHIFT | _U64.size, value)


def close(reason: str) -> bytes:
    """Give a CLOSE frame; a reason that is too long is cut, for a close must not fail."""
    cut = reason.encode(errors="replace")[:REASON_LIMIT]
    body = cut.decode(errors="ignore").encode()
    return _HEADER.pack(Kind.CLOSE << _KIND_SHIFT | len(body)) + body


def split(record: memoryview) -> tuple[list[memoryview], list[tuple[int, memoryview]]]:
    """Give the packets of a record, and its other frames as (kind, body); both are views into `record`.

    Raises `RemoteProtocolError` for a frame that is cut short, and a packet shorter than its virtio_net_hdr.
    """
    packets: list[memoryview] = []
    others: list[tuple[int, memoryview]] = []
    unpack, add = _HEADER.unpack_from, packets.append
    offset, end = 0, len(record)
    try:
        while offset < end:
            (header,) = unpack(record, offset)
            start = offset + 4
            if VNET_HEADER <= header <= _LENGTH_MASK:  # of kind PACKET, and long enough
                offset = start + header
                add(record[start:offset])
            else:
                if header <= _LENGTH_MASK:
                    raise RemoteProtocolError(f"packet of {header} bytes is shorter than its virtio_net_hdr")
                offset = start + (header & _LENGTH_MASK)
                others.append((header >> _KIND_SHIFT, record[start:offset]))
    except struct.error as error:
        raise RemoteProtocolError("frame header is cut short") from error
    if offset > end:
        raise RemoteProtocolError("frame passes the end of its record")
    return packets, others


def read_u32(body: memoryview) -> int:
    """Give the number in a body of 32 bits; `RemoteProtocolError` when it has another size."""
    return _read(_U32, body)


def read_u64(body: memoryview) -> int:
    """Give the number in a body of 64 bits; `RemoteProtocolError` when it has another size."""
    return _read(_U64, body)


def _read(number: struct.Struct, body: memoryview) -> int:
    if len(body) != number.size:
        raise RemoteProtocolError(f"control frame of {len(body)} bytes where {number.size} are due")
    return int(number.unpack(body)[0])


def read_reason(body: memoryview) -> str:
    """Give the reason in a CLOSE; `RemoteProtocolError` when it is too long or no UTF-8.

    It is the peer's text: whoever shows it makes control characters harmless first.
    """
    if len(body) > REASON_LIMIT:
        raise RemoteProtocolError(f"close reason of {len(body)} bytes")
    try:
        return str(body, "utf-8")
    except UnicodeDecodeError as error:
        raise RemoteProtocolError("close reason is no UTF-8") from error
