"""From the first byte of a stream to keys: the prefaces, then one Noise message in each direction.

    initiator -> preface | u16 length | Noise message 1 (its report inside)
    responder -> preface | u16 length | Noise message 2 (its report inside)
    both      -> records

One round trip. A message is an ephemeral key (32 bytes), the encrypted report and a tag (16 bytes). A responder that
refuses sends its preface alone, with a status that says why, and closes: the same error is raised at both ends.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kttun.protocol import noise, preface
from kttun.protocol.errors import (
    AuthenticationError,
    LocalProtocolError,
    RemoteProtocolError,
    UnknownSessionError,
    VersionMismatchError,
)
from kttun.protocol.noise import KKHandshake, Role, Secrets
from kttun.protocol.preface import PREFACE_SIZE, Preface, Status

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

    from kttun.protocol.buffer import ReceiveBuffer

REPORT_LIMIT = 32 * 1024
"""Longest report, bytes."""

_LENGTH = struct.Struct("!H")
_PEER = {Role.INITIATOR: "gateway", Role.RESPONDER: "client"}


@dataclass(frozen=True)
class Identity:
    """Who this end is for as long as the session lives, and whom it expects.

    `peer_static` is the peer's public key (32 bytes), `session_id` 16 bytes that both ends know, `report` what the peer
    gets with our handshake message, at most `REPORT_LIMIT` bytes. Raises `LocalProtocolError` when a size is wrong.
    """

    role: Role
    static: X25519PrivateKey
    peer_static: bytes
    session_id: bytes
    report: bytes

    def __post_init__(self) -> None:
        if len(self.session_id) != preface.SESSION_ID_SIZE:
            raise LocalProtocolError(f"session id of {len(self.session_id)} bytes, not {preface.SESSION_ID_SIZE}")
        if len(self.report) > REPORT_LIMIT:
            raise LocalProtocolError(f"report of {len(self.report)} bytes is longer than {REPORT_LIMIT}")

    def noise(self, request: Preface, ephemeral: X25519PrivateKey) -> KKHandshake:
        """Begin the Noise handshake that belongs to the initiator's preface `request`."""
        prologue = request.pack() + request.answer(Status.ACCEPTED).pack()
        return KKHandshake(self.role, self.static, self.peer_static, prologue, ephemeral)


class Handshake:
    """The handshake on one stream; `ephemeral` must be a fresh key.

    Send `outgoing` whenever it is not empty and empty it, also after an error; call `advance` for received bytes.
    """

    def __init__(self, identity: Identity, ephemeral: X25519PrivateKey) -> None:
        self._identity = identity
        self._request = Preface(identity.session_id)
        # Made here already, at either end, so that an unusable peer key is an error of the caller's before any I/O.
        self._noise = identity.noise(self._request, ephemeral)
        self._read_preface = False
        self._needed = PREFACE_SIZE
        self.outgoing = b""
        """Bytes for the peer."""
        self.peer_report = b""
        """The peer's report, authentic once `finished`."""
        if identity.role is Role.INITIATOR:
            self.outgoing = self._request.pack() + self._message()

    @property
    def finished(self) -> bool:
        """Whether there are keys."""
        return self._noise.finished

    def secrets(self) -> Secrets:
        """Give the keys; `LocalProtocolError` before `finished`."""
        return self._noise.secrets()

    def missing(self, buffer: ReceiveBuffer) -> int:
        """Give how many bytes are certainly still to come before `advance` can do anything."""
        return max(0, self._needed - len(buffer))

    def advance(self, buffer: ReceiveBuffer) -> None:
        """Use up what has come, as far as the handshake goes; bytes behind it stay in `buffer`.

        Raises `VersionMismatchError`, `UnknownSessionError`, `AuthenticationError` or another `RemoteProtocolError`.
        """
        if not self._read_preface:
            preface.check_magic(buffer.view[buffer.start : buffer.end][:PREFACE_SIZE].tobytes())
            if len(buffer) < PREFACE_SIZE:
                return
            self._take_preface(preface.parse(buffer.take(PREFACE_SIZE)))
            self._read_preface, self._needed = True, _LENGTH.size
        if len(buffer) >= _LENGTH.size:
            self._take_message(buffer)

    def _take_preface(self, received: Preface) -> None:
        if self._identity.role is Role.INITIATOR:
            self._judge_answer(received)
        else:
            self._judge_request(received)

    def _judge_request(self, request: Preface) -> None:
        """As the responder, refuse what cannot be, with an answer that says why."""
        status, error = self._refusal(request)
        if error is not None:
            self.outgoing = request.answer(status).pack()
            raise error

    def _refusal(self, request: Preface) -> tuple[Status, RemoteProtocolError | None]:
        if request.version != preface.VERSION:
            return Status.VERSION_MISMATCH, self._mismatch(request)
        if request.session_id != self._identity.session_id:
            return Status.UNKNOWN_SESSION, UnknownSessionError("client asks for another session than this gateway's")
        if request != self._request:
            return Status.UNSUPPORTED, RemoteProtocolError(
                f"client asks for lane {request.lane} of kind {request.kind}, which this gateway does not have"
            )
        return Status.ACCEPTED, None

    def _judge_answer(self, answer: Preface) -> None:
        """As the initiator, understand a refusal."""
        if answer == self._request.answer(Status.ACCEPTED):
            return
        if answer.version != preface.VERSION:
            raise self._mismatch(answer)
        if answer.status == Status.UNKNOWN_SESSION:
            raise UnknownSessionError("gateway serves another session")
        if answer.status == Status.NOT_AUTHENTIC:
            raise AuthenticationError("gateway expects another key than this session's")
        raise RemoteProtocolError(f"gateway refuses the stream with status {answer.status}")

    def _mismatch(self, received: Preface) -> VersionMismatchError:
        return VersionMismatchError(preface.VERSION, received.version, _PEER[self._identity.role])

    def _message(self) -> bytes:
        message = self._noise.write(self._identity.report)
        return _LENGTH.pack(len(message)) + message

    def _take_message(self, buffer: ReceiveBuffer) -> None:
        (length,) = _LENGTH.unpack_from(buffer.view, buffer.start)
        if not noise.OVERHEAD <= length <= noise.OVERHEAD + REPORT_LIMIT:
            raise RemoteProtocolError(f"handshake message of {length} bytes")
        self._needed = _LENGTH.size + length
        if len(buffer) < self._needed:
            return
        message = buffer.take(self._needed)[_LENGTH.size :]
        try:
            self.peer_report = self._noise.read(message)
        except AuthenticationError:
            if self._identity.role is Role.RESPONDER:
                self.outgoing = self._request.answer(Status.NOT_AUTHENTIC).pack()
            raise
        if self._identity.role is Role.RESPONDER:
            self.outgoing = self._request.answer(Status.ACCEPTED).pack() + self._message()
