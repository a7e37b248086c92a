"""From one handshake to the keys of its lanes: HKDF-SHA256 (RFC 5869) for each lane number and direction.

    key = HKDF(salt = handshake hash, ikm = Split() key of the direction,
               info = "kttun 1 lane initiator" | "kttun 1 lane responder", then the lane's number, one byte)

Noise's own two transport keys are used for nothing else, so no key serves two purposes. A record's nonce is its counter
on its lane in its direction. As (handshake, direction, lane) has one key and a counter never goes back, no pair of key
and nonce repeats; a resumed stream makes a new handshake with new ephemeral keys, hence new keys, and may count from 0.

How long a key may live: AES-GCM stays below an advantage of 2^-50 up to 2^39 blocks, which are 8 TiB or most of a day
at a gigabit a second without a pause (birthday bound q^2 / 2^129; RFC 8446 section 5.5 counts the same way and is
stricter). A gateway lives no longer than a day by default, and every resume changes the keys.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from kttun.protocol.noise import Role

if TYPE_CHECKING:
    from kttun.protocol.noise import Secrets

LANES = 256
"""Lane numbers go from 0 to 255: one byte, here and in the preface."""


class LaneKeys(NamedTuple):
    """The two AES-256 keys of one lane at one end, 32 bytes each."""

    sending: bytes
    receiving: bytes


def lane_keys(secrets: Secrets, role: Role, lane: int) -> LaneKeys:
    """Give the keys of lane number `lane` (0 to 255) for the end that plays `role`."""
    initiator = _derive(secrets.initiator_key, secrets.handshake_hash, b"kttun 1 lane initiator", lane)
    responder = _derive(secrets.responder_key, secrets.handshake_hash, b"kttun 1 lane responder", lane)
    return LaneKeys(initiator, responder) if role is Role.INITIATOR else LaneKeys(responder, initiator)


def _derive(key: bytes, salt: bytes, label: bytes, lane: int) -> bytes:
    info = label + lane.to_bytes(1, "big")
    return HKDF(algorithm=SHA256(), length=32, salt=salt, info=info).derive(key)
