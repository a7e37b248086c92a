import pytest

from kttun.protocol import preface
from kttun.protocol.errors import RemoteProtocolError
from kttun.protocol.preface import LaneKind, Preface, Status

SESSION = bytes(range(16))


def test_preface_is_these_32_bytes():
    golden = "6b7474756e0a 0001 01 00 00 0000000000 000102030405060708090a0b0c0d0e0f"
    assert Preface(SESSION).pack() == bytes.fromhex(golden)


def test_answer_repeats_the_request_with_own_version_and_status():
    request = Preface(SESSION, version=7, kind=LaneKind.JOIN, lane=3)
    answer = request.answer(Status.VERSION_MISMATCH)
    golden = "6b7474756e0a 0001 02 03 02 0000000000 000102030405060708090a0b0c0d0e0f"
    assert answer.pack() == bytes.fromhex(golden)


def test_parse_gives_what_was_packed_whatever_the_numbers():
    strange = Preface(SESSION, version=65535, kind=77, lane=255, status=99, reserved=b"later")
    assert preface.parse(strange.pack()) == strange


@pytest.mark.parametrize("beginning", [b"", b"k", b"kttun", b"kttun\n", Preface(SESSION).pack()])
def test_every_beginning_of_a_preface_may_become_one(beginning):
    preface.check_magic(beginning)


@pytest.mark.parametrize("beginning", [b"K", b"kttun\r\n", b"HTTP/1.1 400 Bad Request"])
def test_anything_else_is_no_kttun_stream_from_its_first_wrong_byte_on(beginning):
    with pytest.raises(RemoteProtocolError, match="not a kttun stream, it begins with b'"):
        preface.check_magic(beginning)
