import pytest
from hypothesis import given
from hypothesis import strategies as st

from kttun.protocol import frames
from kttun.protocol.errors import LocalProtocolError, RemoteProtocolError
from kttun.protocol.frames import FRAME_HEADER, PACKETS_LIMIT, REASON_LIMIT, VNET_HEADER, Kind

GOLDEN = [
    (b"".join(frames.packet_parts([b"0123456789IP"])), "0000000c 30313233343536373839 4950"),
    (frames.u64(Kind.CREDIT, 0x0102030405060708), "01000008 0102030405060708"),
    (frames.u32(Kind.WINDOW, 512 * 1024), "02000004 00080000"),
    (frames.u64(Kind.PING, 2**64 - 1), "03000008 ffffffffffffffff"),
    (frames.u64(Kind.PONG, 7), "04000008 0000000000000007"),
    (frames.close("bye ü"), "05000006 62796520c3bc"),
    (frames.u64(Kind.SEQUENCE, 9), "06000008 0000000000000009"),
]


def split(data: bytes) -> tuple[list[bytes], list[tuple[int, bytes]]]:
    packets, others = frames.split(memoryview(data))
    return list(map(bytes, packets)), [(kind, bytes(body)) for kind, body in others]


@pytest.mark.parametrize(("frame", "golden"), GOLDEN)
def test_frames_are_these_bytes(frame, golden):
    assert frame == bytes.fromhex(golden)


def test_a_record_splits_into_packets_and_others_each_in_order():
    packets, others = split(b"".join(frame for frame, _ in GOLDEN) + GOLDEN[0][0])
    assert packets == [b"0123456789IP"] * 2
    assert [kind for kind, _ in others] == [1, 2, 3, 4, 5, 6]


def test_an_empty_record_holds_nothing():
    assert split(b"") == ([], [])


@given(st.lists(st.binary(min_size=VNET_HEADER, max_size=100), min_size=1, max_size=10))
def test_packets_come_back_as_they_were(packets):
    assert split(b"".join(frames.packet_parts(packets))) == (packets, [])


def test_packets_up_to_the_limit_fit_and_one_byte_more_does_not():
    longest = bytes(PACKETS_LIMIT - FRAME_HEADER)
    assert sum(map(len, frames.packet_parts([longest]))) == PACKETS_LIMIT
    with pytest.raises(LocalProtocolError, match="make no record"):
        frames.packet_parts([longest + b"x"])


@pytest.mark.parametrize("packets", [[], [bytes(VNET_HEADER - 1)], [bytes(20), b""]])
def test_no_packet_or_one_without_its_header_makes_no_record(packets):
    with pytest.raises(LocalProtocolError, match="make no record"):
        frames.packet_parts(packets)


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        ("00", "cut short"),
        ("03000008 0000000000000007 0300", "cut short"),
        ("0000000b 00000000000000000000", "passes the end"),
        ("ff000001", "passes the end"),
        ("00000000", "packet of 0 bytes"),
        ("00000009 000000000000000000", "packet of 9 bytes"),
    ],
)
def test_frames_that_do_not_fill_their_record_are_the_peers_fault(data, complaint):
    with pytest.raises(RemoteProtocolError, match=complaint):
        split(bytes.fromhex(data))


def test_numbers_of_another_size_are_the_peers_fault():
    assert frames.read_u32(memoryview(bytes(3) + b"\x05")) == 5
    assert frames.read_u64(memoryview(bytes(7) + b"\x05")) == 5
    with pytest.raises(RemoteProtocolError, match="of 8 bytes where 4 are due"):
        frames.read_u32(memoryview(bytes(8)))
    with pytest.raises(RemoteProtocolError, match="of 4 bytes where 8 are due"):
        frames.read_u64(memoryview(bytes(4)))


@pytest.mark.parametrize(
    ("reason", "read"),
    [("", ""), ("laptop says bye", "laptop says bye"), ("ü" * 600, "ü" * 512), ("aü" * 400, "aü" * 341 + "a")],
)
def test_a_reason_is_cut_between_characters(reason, read):
    assert frames.read_reason(memoryview(frames.close(reason))[FRAME_HEADER:]) == read


def test_a_reason_that_has_no_utf_8_is_still_a_close():
    assert frames.read_reason(memoryview(frames.close("\ud800"))[FRAME_HEADER:]) == "?"


def test_a_reason_too_long_or_no_utf_8_is_the_peers_fault():
    with pytest.raises(RemoteProtocolError, match="1025 bytes"):
        frames.read_reason(memoryview(bytes(REASON_LIMIT + 1)))
    with pytest.raises(RemoteProtocolError, match="no UTF-8"):
        frames.read_reason(memoryview(b"\xff"))


@given(st.binary(max_size=100))
def test_hostile_records_raise_nothing_but_remote_protocol_errors(data):
    try:
        packets, others = split(data)
    except RemoteProtocolError:
        return
    assert sum(map(len, packets)) + sum(len(body) for _, body in others) + 4 * len(packets + others) == len(data)
