"""JSON lines with file descriptors over a Unix stream socket: how worker and helper talk.

One line is one message. Descriptors ride on the first bytes of their line (SCM_RIGHTS, unix(7)). The helper's end asks
the kernel for the sender of each piece (SO_PASSCRED): SO_PEERCRED of a socket pair names only who made the pair.
"""

from __future__ import annotations

import array
import json
import os
import socket
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from kttun.errors import InternalError

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_LINE = 4 << 20
"""Bytes of one message: twenty thousand IPv6 networks need one million."""
MAX_DESCRIPTORS = 32
_PIECE = 1 << 16
_UCRED = struct.Struct("=iII")  # pid, uid, gid


class ChannelError(Exception):
    """The other end broke the rules of this channel; nothing more can be read from it."""


@dataclass(frozen=True, slots=True)
class Sender:
    """A process and its user, as the kernel vouches for them."""

    pid: int
    uid: int


@dataclass(slots=True)
class Message:
    """One line and the descriptors that came with it, which belong to the receiver."""

    line: bytes
    descriptors: list[int] = field(default_factory=list)

    def parsed(self) -> object:
        """Return the JSON value; ValueError when it is none."""
        try:
            return json.loads(self.line)
        except RecursionError as error:
            raise ValueError("nested too deeply") from error


class Channel:
    """One end. `expected` is the only sender whose bytes are taken; None takes the other end as it is."""

    def __init__(self, connection: socket.socket, expected: Sender | None = None) -> None:
        self._socket = connection
        self._expected = expected
        self._pending = bytearray()
        self._descriptors: list[int] = []

    @classmethod
    def pair(cls) -> tuple[socket.socket, socket.socket]:
        """Return helper's and worker's end; the helper's tells senders from the first byte on."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        return ours, theirs

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def fileno(self) -> int:
        """Return the socket's descriptor, for selectors."""
        return self._socket.fileno()

    def close(self) -> None:
        """Close the socket, and descriptors that nobody took."""
        for descriptor in self._descriptors:
            os.close(descriptor)
        self._descriptors.clear()
        self._socket.close()

    def send(self, document: dict[str, object], descriptors: Sequence[int] = ()) -> None:
        """Send one message; blocks until it is taken. Raises OSError when the other end is gone."""
        line = json.dumps(document, separators=(",", ":")).encode() + b"\n"
        if len(line) > MAX_LINE:
            raise InternalError(f"a message of {len(line)} bytes between worker and helper is too long")
        sent = socket.send_fds(self._socket, [line], list(descriptors)) if descriptors else 0
        self._socket.sendall(line[sent:])

    def receive(self) -> Message | None:
        """Wait for one message; None at the end of the stream. Raises ChannelError, and OSError of the socket."""
        while True:
            line, newline, rest = self._pending.partition(b"\n")
            if newline:
                self._pending = rest
                descriptors, self._descriptors = self._descriptors, []
                return Message(bytes(line), descriptors)
            if len(self._pending) > MAX_LINE:
                raise ChannelError(f"a message of more than {MAX_LINE} bytes")
            if not self._receive_piece():
                return None

    def _receive_piece(self) -> bool:
        room = socket.CMSG_SPACE(_UCRED.size) + socket.CMSG_SPACE(MAX_DESCRIPTORS * array.array("i").itemsize)
        data, controls, flags, _ = self._socket.recvmsg(_PIECE, room, socket.MSG_CMSG_CLOEXEC)
        sender: Sender | None = None
        for level, kind, value in controls:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                self._descriptors.extend(_descriptors(value))
            elif (level, kind) == (socket.SOL_SOCKET, socket.SCM_CREDENTIALS):
                pid, uid, _ = _UCRED.unpack(value)
                sender = Sender(pid, uid)
        if flags & socket.MSG_CTRUNC or len(self._descriptors) > MAX_DESCRIPTORS:
            raise ChannelError("more descriptors than a message may have")
        if data and self._expected is not None and sender != self._expected:
            raise ChannelError(f"a message from {sender}, who is not the worker")
        self._pending += data
        return bool(data)


def _descriptors(value: bytes) -> list[int]:
    found = array.array("i")
    found.frombytes(value[: len(value) - len(value) % found.itemsize])
    return found.tolist()
