"""The handshake `Noise_KK_25519_AESGCM_SHA256`, as in "The Noise Protocol Framework", revision 34 (2018-07-11).

    KK:                  both ends know the other's static key beforehand (section 7.5)
      -> s
      <- s
      ...
      -> e, es, ss       first message and its payload
      <- e, ee, se       second message and its payload

The file follows the specification from below: functions (sections 4 and 12), CipherState and SymmetricState (5.1, 5.2),
the two messages (5.3). It is small because it knows one pattern only: no tokens are interpreted, and each message is
written as the list of its steps. The primitives are PyCA's; published vectors stand in `tests/protocol/vectors`.
"""

from __future__ import annotations

import hashlib
from enum import StrEnum
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from kttun.protocol.errors import AuthenticationError, LocalProtocolError, RemoteProtocolError

PROTOCOL_NAME = b"Noise_KK_25519_AESGCM_SHA256"
DHLEN = 32
"""Bytes of a public key and of a DH result (section 12.1)."""
TAGLEN = 16
"""Bytes that authentication adds to a payload (section 4.2)."""
OVERHEAD = DHLEN + TAGLEN
"""What either message is longer than its payload: the ephemeral key in clear, and the payload's tag."""
MESSAGE_LIMIT = 65535
"""Longest Noise message, bytes (section 3)."""


class Role(StrEnum):
    """Which end of the handshake: the laptop initiates, the gateway responds."""

    INITIATOR = "initiator"
    RESPONDER = "responder"


class Secrets(NamedTuple):
    """What Split() gives (section 5.2): one key of 32 bytes for each direction, and the handshake hash (11.2)."""

    initiator_key: bytes
    """Encrypts what the initiator sends."""
    responder_key: bytes
    """Encrypts what the responder sends."""
    handshake_hash: bytes
    """32 bytes that name this session: equal at both ends, different for each handshake."""


def public_bytes(key: X25519PrivateKey | X25519PublicKey) -> bytes:
    """Give the 32 bytes of the public key (RFC 7748 section 5)."""
    public = key.public_key() if isinstance(key, X25519PrivateKey) else key
    return public.public_bytes_raw()


def _hkdf2(chaining_key: bytes, material: bytes) -> tuple[bytes, bytes]:
    """HKDF with two outputs (section 4.3), which is RFC 5869 with the chaining key as salt and empty info."""
    both = HKDF(algorithm=SHA256(), length=64, salt=chaining_key, info=b"").derive(material)
    return both[:32], both[32:]


class _SymmetricState:
    """Chaining key, hash and cipher of the handshake (section 5.2), its CipherState (5.1) folded in."""

    def __init__(self) -> None:
        # A name of at most HASHLEN bytes is padded with zeros, not hashed (section 5.2, InitializeSymmetric).
        self.hash = PROTOCOL_NAME.ljust(32, b"\0")
        self._chaining_key = self.hash
        self._key = b""
        self._nonce = 0

    def mix_hash(self, data: bytes) -> None:
        self.hash = hashlib.sha256(self.hash + data).digest()

    def mix_key(self, material: bytes) -> None:
        self._chaining_key, self._key = _hkdf2(self._chaining_key, material)
        self._nonce = 0

    def _next_nonce(self) -> bytes:
        """32 zero bits, then the counter, big-endian (section 12.4)."""
        nonce = self._nonce.to_bytes(12, "big")
        self._nonce += 1
        return nonce

    def encrypt_and_hash(self, plaintext: bytes) -> bytes:
        ciphertext = AESGCM(self._key).encrypt(self._next_nonce(), plaintext, self.hash)
        self.mix_hash(ciphertext)
        return ciphertext

    def decrypt_and_hash(self, ciphertext: bytes) -> bytes:
        plaintext = AESGCM(self._key).decrypt(self._next_nonce(), ciphertext, self.hash)
        self.mix_hash(ciphertext)
        return plaintext

    def split(self) -> tuple[bytes, bytes]:
        return _hkdf2(self._chaining_key, b"")


class KKHandshake:
    """One end of one handshake; the initiator calls `write`, `read`, the responder `read`, `write`.

    `static` is our key, `remote_static` the 32 bytes of the peer's, `prologue` what both ends have said before and must
    agree on (section 6). `ephemeral` must be fresh for each handshake; it is handed in because nothing here draws
    random numbers. Raises `LocalProtocolError` for a `remote_static` that is no usable public key.
    """

    def __init__(
        self,
        role: Role,
        static: X25519PrivateKey,
        remote_static: bytes,
        prologue: bytes,
        ephemeral: X25519PrivateKey,
    ) -> None:
        self.role = role
        self.finished = False
        """Whether both messages are done, so that `secrets` may be asked for."""
        self._static = static
        self._ephemeral = ephemeral
        try:
            self._remote_static = X25519PublicKey.from_public_bytes(remote_static)
            # A point of low order shows here: PyCA refuses an all-zero result (RFC 7748 section 6.1).
            self._ss = static.exchange(self._remote_static)
        except ValueError as error:
            raise LocalProtocolError("the peer's static key is no usable X25519 public key") from error
        self._remote_ephemeral: X25519PublicKey | None = None
        self._turns: tuple[str, ...] = ("write", "read") if role is Role.INITIATOR else ("read", "write")
        self._state = _SymmetricState()
        ours = public_bytes(static)
        pre_messages = (ours, remote_static) if role is Role.INITIATOR else (remote_static, ours)
        for data in (prologue, *pre_messages):
            self._state.mix_hash(data)

    def write(self, payload: bytes) -> bytes:
        """Give our message, `OVERHEAD` bytes longer than `payload`, which it carries encrypted.

        Raises `LocalProtocolError` out of turn, and for a message above `MESSAGE_LIMIT`.
        """
        if len(payload) + OVERHEAD > MESSAGE_LIMIT:
            raise LocalProtocolError(f"handshake payload of {len(payload)} bytes is too long")
        remaining = self._take_turn("write")
        state, e = self._state, public_bytes(self._ephemeral)
        state.mix_hash(e)
        if self._remote_ephemeral is None:
            state.mix_key(self._ephemeral.exchange(self._remote_static))  # es
            state.mix_key(self._ss)  # ss
        else:
            state.mix_key(self._ephemeral.exchange(self._remote_ephemeral))  # ee
            state.mix_key(self._ephemeral.exchange(self._remote_static))  # se
        message = e + state.encrypt_and_hash(payload)
        self._turns, self.finished = remaining, not remaining
        return message

    def read(self, message: bytes) -> bytes:
        """Give the payload of the peer's message.

        Raises `LocalProtocolError` out of turn, `RemoteProtocolError` for a malformed message, `AuthenticationError`
        for one made with other keys, another prologue or for another handshake; the handshake is over then.
        """
        remaining = self._take_turn("read")
        if not OVERHEAD <= len(message) <= MESSAGE_LIMIT:
            raise RemoteProtocolError(f"handshake message of {len(message)} bytes")
        try:
            self._mix_remote_ephemeral(message[:DHLEN])
            payload = self._state.decrypt_and_hash(message[DHLEN:])
        except ValueError as error:
            raise RemoteProtocolError("the peer's ephemeral key is no usable X25519 public key") from error
        except InvalidTag as error:
            raise AuthenticationError("handshake not authentic: the peer holds another key than expected") from error
        self._turns, self.finished = remaining, not remaining
        return payload

    def _mix_remote_ephemeral(self, e: bytes) -> None:
        state = self._state
        self._remote_ephemeral = remote = X25519PublicKey.from_public_bytes(e)
        state.mix_hash(e)
        if self.role is Role.RESPONDER:
            state.mix_key(self._static.exchange(remote))  # es
            state.mix_key(self._ss)  # ss
        else:
            state.mix_key(self._ephemeral.exchange(remote))  # ee
            state.mix_key(self._static.exchange(remote))  # se

    def secrets(self) -> Secrets:
        """Give the session's keys; `LocalProtocolError` before both messages are done."""
        if not self.finished:
            raise LocalProtocolError("the handshake is not finished")
        return Secrets(*self._state.split(), self._state.hash)

    def _take_turn(self, verb: str) -> tuple[str, ...]:
        """Give the turns behind this one, and leave none in place: a message that fails ends the handshake."""
        if self._turns[:1] != (verb,):
            raise LocalProtocolError(f"handshake cannot {verb} now")
        remaining, self._turns = self._turns[1:], ()
        return remaining
