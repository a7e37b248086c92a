import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from kttun.protocol.errors import AuthenticationError, LocalProtocolError, RemoteProtocolError
from kttun.protocol.noise import MESSAGE_LIMIT, OVERHEAD, KKHandshake, Role, public_bytes

VECTORS = [
    pytest.param(vector, id=path.stem)
    for path in sorted((Path(__file__).parent / "vectors").glob("*.json"))
    for vector in json.loads(path.read_text())["vectors"]
]


def key(seed: str) -> X25519PrivateKey:
    return X25519PrivateKey.from_private_bytes(seed.encode().ljust(32))


def side(role: Role, prologue: bytes = b"", **changes) -> KKHandshake:
    ours, theirs = ("i", "r") if role is Role.INITIATOR else ("r", "i")
    kwargs = {"static": key(ours), "remote_static": public_bytes(key(theirs)), "ephemeral": key("e" + ours)} | changes
    return KKHandshake(role, prologue=prologue, **kwargs)


def pair(prologue: bytes = b"") -> tuple[KKHandshake, KKHandshake]:
    return side(Role.INITIATOR, prologue), side(Role.RESPONDER, prologue)


def from_vector(vector: dict, role: Role) -> KKHandshake:
    prefix = "init" if role is Role.INITIATOR else "resp"
    value = {name: bytes.fromhex(vector[f"{prefix}_{name}"]) for name in ("static", "ephemeral", "remote_static")}
    return KKHandshake(
        role,
        X25519PrivateKey.from_private_bytes(value["static"]),
        value["remote_static"],
        bytes.fromhex(vector[f"{prefix}_prologue"]),
        X25519PrivateKey.from_private_bytes(value["ephemeral"]),
    )


def messages_of(vector: dict) -> list[tuple[bytes, bytes]]:
    return [(bytes.fromhex(m["payload"]), bytes.fromhex(m["ciphertext"])) for m in vector["messages"]]


def test_two_published_vectors_are_there():
    assert len(VECTORS) == 2


@pytest.mark.parametrize("vector", VECTORS)
def test_handshake_messages_equal_the_published_ones(vector):
    initiator, responder = from_vector(vector, Role.INITIATOR), from_vector(vector, Role.RESPONDER)
    (payload_1, message_1), (payload_2, message_2) = messages_of(vector)[:2]
    assert initiator.write(payload_1) == message_1
    assert responder.read(message_1) == payload_1
    assert responder.write(payload_2) == message_2
    assert initiator.read(message_2) == payload_2


@pytest.mark.parametrize("vector", VECTORS)
def test_split_gives_the_keys_of_the_published_transport_messages(vector):
    initiator, responder = from_vector(vector, Role.INITIATOR), from_vector(vector, Role.RESPONDER)
    (payload_1, _), (payload_2, _), *transport = messages_of(vector)
    responder.read(initiator.write(payload_1))
    initiator.read(responder.write(payload_2))
    secrets = initiator.secrets()
    assert responder.secrets() == secrets
    assert secrets.handshake_hash.hex() == vector.get("handshake_hash", secrets.handshake_hash.hex())
    assert transport
    for i, (payload, ciphertext) in enumerate(transport):
        of_sender = secrets.responder_key if i % 2 else secrets.initiator_key
        assert AESGCM(of_sender).encrypt((i // 2).to_bytes(12, "big"), payload, None) == ciphertext


def test_secrets_are_there_only_when_both_messages_are_done():
    initiator, responder = pair()
    responder.read(initiator.write(b""))
    assert not initiator.finished
    assert not responder.finished
    with pytest.raises(LocalProtocolError, match="not finished"):
        responder.secrets()
    initiator.read(responder.write(b""))
    assert initiator.finished
    assert responder.finished


def test_each_end_must_keep_its_turn():
    initiator, responder = pair()
    with pytest.raises(LocalProtocolError, match="cannot read now"):
        initiator.read(bytes(OVERHEAD))
    with pytest.raises(LocalProtocolError, match="cannot write now"):
        responder.write(b"")
    responder.read(initiator.write(b""))
    with pytest.raises(LocalProtocolError, match="cannot write now"):
        initiator.write(b"")


def test_longest_payload_fits_and_one_byte_more_does_not():
    initiator, responder = pair()
    with pytest.raises(LocalProtocolError, match="too long"):
        initiator.write(bytes(MESSAGE_LIMIT - OVERHEAD + 1))
    message = initiator.write(bytes(MESSAGE_LIMIT - OVERHEAD))
    assert len(message) == MESSAGE_LIMIT
    assert responder.read(message) == bytes(MESSAGE_LIMIT - OVERHEAD)


@pytest.mark.parametrize("place", [0, 31, 32, 40, -1])
def test_one_flipped_bit_is_not_authentic_and_ends_the_handshake(place):
    initiator, responder = pair()
    message = bytearray(initiator.write(b"payload"))
    message[place] ^= 1
    with pytest.raises(AuthenticationError):
        responder.read(bytes(message))
    with pytest.raises(LocalProtocolError, match="cannot read now"):
        responder.read(bytes(message))


def test_another_prologue_is_not_authentic():
    with pytest.raises(AuthenticationError):
        side(Role.RESPONDER, b"version 2").read(side(Role.INITIATOR, b"version 1").write(b""))


def test_another_static_key_is_not_authentic_to_either_end():
    with pytest.raises(AuthenticationError):
        side(Role.RESPONDER).read(side(Role.INITIATOR, static=key("stranger")).write(b""))
    initiator = side(Role.INITIATOR)
    stranger = side(Role.RESPONDER, static=key("stranger"))
    with pytest.raises(AuthenticationError):
        stranger.read(initiator.write(b""))


def test_an_answer_to_another_handshake_is_not_authentic():
    first, responder = pair()
    responder.read(first.write(b""))
    answer = responder.write(b"")
    second = side(Role.INITIATOR, ephemeral=key("another"))
    second.write(b"")
    with pytest.raises(AuthenticationError):
        second.read(answer)


@pytest.mark.parametrize("size", [0, OVERHEAD - 1, MESSAGE_LIMIT + 1])
def test_message_of_impossible_length_is_the_peers_fault(size):
    with pytest.raises(RemoteProtocolError, match=f"message of {size} bytes"):
        side(Role.RESPONDER).read(bytes(size))


def test_ephemeral_key_of_low_order_is_the_peers_fault():
    with pytest.raises(RemoteProtocolError, match="ephemeral"):
        side(Role.RESPONDER).read(bytes(OVERHEAD))


@pytest.mark.parametrize("remote_static", [bytes(32), bytes(31), b""])
def test_unusable_static_key_of_the_peer_is_our_callers_fault(remote_static):
    with pytest.raises(LocalProtocolError, match="static key"):
        side(Role.INITIATOR, remote_static=remote_static)


def test_public_bytes_takes_either_half():
    assert public_bytes(key("i")) == public_bytes(key("i").public_key())
