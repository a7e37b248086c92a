r"""The preface: the first 32 bytes of a lane in each direction, in clear.

    offset size
     0     6     magic "kttun\n"
     6     2     version of the protocol, big-endian
     8     1     kind: 1 handshake (a new stream for lane 0), 2 join (a further lane of a session; reserved)
     9     1     lane number, 0 to 255
    10     1     status: 0 in the initiator's; what the responder says to it in his
    11     5     reserved, zero
    16    16     session id

Size, magic, version, status and session id keep their place in every version, so that any two versions can tell each
other apart. The responder answers with the initiator's values, his own version and a status. An acceptance is thereby
known in advance, and initiator's preface + acceptance are the prologue of the Noise handshake: what was agreed is
authenticated without a further round trip. A refusal cannot be (there are no keys yet); whoever forges one could as
well cut the stream.
"""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import NamedTuple

from kttun.protocol.errors import RemoteProtocolError

MAGIC = b"kttun\n"
VERSION = 1
"""The protocol version that this code speaks; it speaks no other."""
SESSION_ID_SIZE = 16
"""Bytes of a session id."""

_PREFACE = struct.Struct("!6sHBBB5s16s")
PREFACE_SIZE = _PREFACE.size


class LaneKind(IntEnum):
    """What the initiator wants of a stream."""

    HANDSHAKE = 1
    JOIN = 2


class Status(IntEnum):
    """What the responder says."""

    REQUEST = 0
    """Said by the initiator only: it tells an echo from an answer."""
    ACCEPTED = 1
    VERSION_MISMATCH = 2
    UNKNOWN_SESSION = 3
    UNSUPPORTED = 4
    """This kind of lane, or this lane number."""
    NOT_AUTHENTIC = 5
    """The handshake message was made with another key than the one expected."""


class Preface(NamedTuple):
    """One preface. Numbers are as received: they may be ones that `LaneKind` and `Status` do not know."""

    session_id: bytes
    version: int = VERSION
    kind: int = LaneKind.HANDSHAKE
    lane: int = 0
    status: int = Status.REQUEST
    reserved: bytes = bytes(5)

    def pack(self) -> bytes:
        """Give the 32 bytes."""
        return _PREFACE.pack(MAGIC, self.version, self.kind, self.lane, self.status, self.reserved, self.session_id)

    def answer(self, status: Status) -> Preface:
        """Give the responder's answer to this preface."""
        return self._replace(version=VERSION, status=status)


def check_magic(beginning: bytes) -> None:
    """Raise `RemoteProtocolError` when `beginning`, the bytes so far, cannot become a preface."""
    n = min(len(beginning), len(MAGIC))
    if beginning[:n] != MAGIC[:n]:
        raise RemoteProtocolError(f"not a kttun stream, it begins with {beginning[:PREFACE_SIZE]!r}")


def parse(data: bytes) -> Preface:
    """Give the preface in `data`, 32 bytes whose magic was checked."""
    _, version, kind, lane, status, reserved, session_id = _PREFACE.unpack(data)
    return Preface(session_id, version, kind, lane, status, reserved)
