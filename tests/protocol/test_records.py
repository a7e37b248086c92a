import contextlib

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from kttun.protocol import HEADROOM
from kttun.protocol.errors import LocalProtocolError, RemoteProtocolError
from kttun.protocol.records import RECORD_LIMIT, RECORD_OVERHEAD, Opener, Sealer

KEY = b"k" * 32


def stream(sealer: Sealer, *plaintexts: bytes) -> bytes:
    return b"".join(sealer.seal([plaintext])[HEADROOM:] for plaintext in plaintexts)


def feed(opener: Opener, data: bytes) -> list[bytes]:
    opener.buffer()[: len(data)] = data
    opener.received(len(data))
    return [bytes(plaintext) for plaintext in iter(opener.next, None)]


def test_record_is_headroom_length_and_ciphertext_under_its_counter():
    sealer = Sealer(KEY)
    for counter in range(3):
        record = sealer.seal([b"one ", memoryview(b"two")])
        ciphertext = AESGCM(KEY).encrypt(counter.to_bytes(12, "big"), b"one two", None)
        assert record == bytes(HEADROOM) + (7 + 16).to_bytes(4, "big") + ciphertext
        assert len(record) == HEADROOM + RECORD_OVERHEAD + 7


def test_records_open_in_order():
    assert feed(Opener(KEY), stream(Sealer(KEY), b"a", b"", b"ccc")) == [b"a", b"", b"ccc"]


@given(st.lists(st.binary(max_size=50), max_size=5), st.data())
def test_a_stream_cut_anywhere_gives_the_same_records(plaintexts, data):
    whole = stream(Sealer(KEY), *plaintexts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=8)))
    opener, opened = Opener(KEY), []
    for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True):
        opened += feed(opener, whole[start:end])
    assert opened == plaintexts


def test_longest_record_passes_and_one_byte_more_uses_nothing_up():
    sealer, opener = Sealer(KEY), Opener(KEY)
    with pytest.raises(LocalProtocolError, match="do not fit"):
        sealer.seal([bytes(RECORD_LIMIT), b"x"])
    assert feed(opener, stream(sealer, b"x" * RECORD_LIMIT)) == [b"x" * RECORD_LIMIT]


def test_missing_counts_down_to_the_next_record():
    record = stream(Sealer(KEY), b"abc")
    opener = Opener(KEY)
    missing = [opener.missing]
    for i in range(len(record)):
        opener.buffer()[:1] = record[i : i + 1]
        opener.received(1)
        missing.append(opener.missing)
    assert missing == [4, 3, 2, 1, 3 + 16, *range(18, -1, -1)]


@pytest.mark.parametrize("length", [0, 15, RECORD_LIMIT + 17, 2**32 - 1])
def test_impossible_length_is_refused_before_anything_is_waited_for(length):
    opener = Opener(KEY)
    for _ in range(2):
        with pytest.raises(RemoteProtocolError, match=f"record of {length} bytes"):
            feed(opener, length.to_bytes(4, "big"))
        assert opener.missing == 0


def test_a_record_repeated_dropped_or_swapped_is_not_authentic():
    sealer = Sealer(KEY)
    first, second = stream(sealer, b"1"), stream(sealer, b"2")
    for wrong, counter in ((first + first, 1), (second, 0), (second + first, 0)):
        with pytest.raises(RemoteProtocolError, match=f"record {counter} is not authentic"):
            feed(Opener(KEY), wrong)


@given(st.integers(0, 22), st.integers(1, 255))
def test_any_changed_byte_is_noticed_or_waits_for_ever(place, change):
    damaged = bytearray(stream(Sealer(KEY), b"abc"))
    damaged[place] ^= change
    opener = Opener(KEY)
    with contextlib.suppress(RemoteProtocolError):
        assert feed(opener, bytes(damaged)) == []
        assert opener.missing > 0


def test_another_key_is_not_authentic():
    with pytest.raises(RemoteProtocolError, match="not authentic"):
        feed(Opener(b"K" * 32), stream(Sealer(KEY), b"1"))


@given(st.binary(max_size=200))
def test_hostile_bytes_raise_nothing_but_remote_protocol_errors(data):
    with contextlib.suppress(RemoteProtocolError):
        assert feed(Opener(KEY), data) == []
