import hashlib
import hmac

import pytest

from kttun.protocol.keys import LANES, lane_keys
from kttun.protocol.noise import Role, Secrets

SECRETS = Secrets(b"i" * 32, b"r" * 32, b"h" * 32)


def hkdf(salt: bytes, ikm: bytes, info: bytes) -> bytes:
    """RFC 5869 for one block of output, by hand."""
    prk = hmac.digest(salt, ikm, hashlib.sha256)
    return hmac.digest(prk, info + b"\x01", hashlib.sha256)


@pytest.mark.parametrize("lane", [0, 1, 255])
def test_lane_keys_are_hkdf_of_direction_and_lane(lane):
    keys = lane_keys(SECRETS, Role.INITIATOR, lane)
    assert keys.sending == hkdf(b"h" * 32, b"i" * 32, b"kttun 1 lane initiator" + bytes([lane]))
    assert keys.receiving == hkdf(b"h" * 32, b"r" * 32, b"kttun 1 lane responder" + bytes([lane]))


def test_what_one_end_sends_with_the_other_receives_with():
    assert lane_keys(SECRETS, Role.RESPONDER, 7) == lane_keys(SECRETS, Role.INITIATOR, 7)[::-1]


def test_no_two_lanes_or_directions_share_a_key():
    keys = {key for lane in range(LANES) for key in lane_keys(SECRETS, Role.INITIATOR, lane)}
    assert len(keys) == 2 * LANES


def test_no_lane_uses_the_keys_of_split():
    keys = {key for lane in range(LANES) for key in lane_keys(SECRETS, Role.INITIATOR, lane)}
    assert not keys & {SECRETS.initiator_key, SECRETS.responder_key}
