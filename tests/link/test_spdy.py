import struct
import zlib

import pytest
from forwarder import data_frame
from hypothesis import example, given
from hypothesis import strategies as st
from tape import Tape, cut, drain

from kttun.link.carrier import LaneLostError
from kttun.link.spdy import DATA_STREAM, ERROR_STREAM, MAX_CONTROL, MAX_TEXT, SpdyCarrier, opening
from kttun.protocol import HEADROOM

SYN_REPLIES = struct.pack("!IIII", 0x80030002, 20, 3, 3) + bytes(12) + struct.pack("!III", 0x80030002, 4, 1)
ENDED = data_frame(DATA_STREAM, b"", 1) + data_frame(ERROR_STREAM, b"", 1)


def control(kind, body):
    return struct.pack("!II", 0x80030000 | kind, len(body)) + body


def data(payload):
    return data_frame(DATA_STREAM, payload)


def test_the_opening_is_two_streams_that_any_zlib_reads_without_a_dictionary():
    raw, inflate, seen = opening(8080), zlib.decompressobj(), []
    while raw:
        first, second, stream = struct.unpack_from("!III", raw)
        size = second & 0xFFFFFF
        block = inflate.decompress(raw[18 : 8 + size])
        seen.append((first, second >> 24, stream, block))
        raw = raw[8 + size :]
    assert [(first, flags, stream) for first, flags, stream, _ in seen] == [(0x80030001, 1, 1), (0x80030001, 0, 3)]
    for kind, (*_, block) in zip((b"error", b"data"), seen, strict=True):
        pairs = b"\0\0\0\x0astreamtype" + struct.pack("!I", len(kind)) + kind
        assert block == b"\0\0\0\x03" + pairs + b"\0\0\0\x04port\0\0\0\x048080\0\0\0\x09requestid\0\0\0\x010"


def test_a_record_is_framed_in_place():
    record = bytearray(HEADROOM) + b"sealed"
    framed = SpdyCarrier(Tape()).frame(record)
    assert bytes(framed) == b"\0\0\0\x03\0\0\0\x06sealed"
    assert framed.obj is record


@given(
    payloads=st.lists(st.binary(max_size=300), max_size=12),
    sizes=st.lists(st.integers(0, 40), min_size=1, max_size=5),
    room=st.integers(1, 500),
)
def test_the_stream_is_the_data_frames_however_it_is_cut(payloads, sizes, room):
    noise = [control(4, bytes(12)), control(9, bytes(8)), data_frame(77, b"nobody's"), control(6, b"\0\0\0\x03")]
    wire = SYN_REPLIES + b"".join(data(payload) + noise[i % 4] for i, payload in enumerate(payloads)) + ENDED
    got, reason = drain(SpdyCarrier(Tape(*cut(wire, sizes))), room)
    assert got == b"".join(payloads)
    assert reason == "the pod closed the stream"


@pytest.mark.parametrize(
    ("wire", "reason"),
    [
        (data_frame(ERROR_STREAM, b"no such port\n") + data_frame(ERROR_STREAM, b"", 1), "no such port"),
        (data_frame(DATA_STREAM, b"", 1) + data_frame(ERROR_STREAM, b"reset by peer", 1), "reset by peer"),
        (data_frame(ERROR_STREAM, b"", 1) + data_frame(DATA_STREAM, b"", 1), "the pod closed the stream"),
        (control(3, struct.pack("!II", 3, 5)) + data_frame(ERROR_STREAM, b"why", 1), "why"),
        (control(3, struct.pack("!II", 3, 5)), "the pod closed the stream"),
        (data_frame(ERROR_STREAM, b"half a word"), "half a word"),
        (control(7, bytes(8)), "the runtime ended the connection"),
        (b"HTTP/1.1", "connection closed by the API server"),
        (struct.pack("!II", 0x80020006, 4), "the API server does not speak SPDY/3.1 on this connection"),
        (struct.pack("!II", 0x80030006, MAX_CONTROL + 1), "the API server does not speak SPDY/3.1 on this connection"),
        (b"", "connection closed by the API server"),
    ],
)
def test_the_end_is_told_in_the_far_ends_words_after_its_bytes(wire, reason):
    carrier = SpdyCarrier(Tape(data(b"before"), wire))
    assert drain(carrier) == (b"before", reason)
    assert carrier.pending
    with pytest.raises(LaneLostError):
        carrier.receive_into(memoryview(bytearray(1)))


def test_an_endless_error_text_is_kept_only_in_part():
    wire = data_frame(ERROR_STREAM, b"x" * 1_000_000) + data_frame(ERROR_STREAM, b"", 1)
    assert drain(SpdyCarrier(Tape(wire))) == (b"", "x" * MAX_TEXT)


def test_a_ping_is_answered_between_frames_and_never_inside_one():
    tape = Tape(control(6, b"\0\0\0\x02"), data(b"x"), end=None, room=3)
    carrier = SpdyCarrier(tape)
    framed = carrier.frame(bytearray(HEADROOM) + b"record")
    sent = carrier.send(framed)
    assert not carrier.want_write
    carrier.receive_into(memoryview(bytearray(10)))
    assert carrier.want_write
    tape.room = None
    carrier.send(framed[sent:])
    assert carrier.want_write
    carrier.send(memoryview(b""))
    assert not carrier.want_write
    assert bytes(tape.sent) == b"\0\0\0\x03\0\0\0\x06record" + control(6, b"\0\0\0\x02")


def test_half_a_pong_is_finished_before_the_next_record():
    tape = Tape(control(6, b"\0\0\0\x02"), end=None, room=5)
    carrier = SpdyCarrier(tape)
    assert carrier.receive_into(memoryview(bytearray(10))) == 0
    framed = carrier.frame(bytearray(HEADROOM) + b"record")
    assert carrier.send(framed) == 0
    tape.room = None
    assert carrier.send(framed) == len(framed)
    assert bytes(tape.sent) == control(6, b"\0\0\0\x02") + bytes(framed)


@given(wire=st.binary(max_size=600), sizes=st.lists(st.integers(1, 64), min_size=1, max_size=4))
@example(wire=struct.pack("!II", 3, 0xFFFFFF) + b"short", sizes=[1])
@example(wire=control(3, b"odd") + control(6, b"") + control(3, bytes(4000)), sizes=[3])
def test_hostile_bytes_end_the_lane_and_nothing_else(wire, sizes):
    got, reason = drain(SpdyCarrier(Tape(*cut(wire, sizes))), 7)
    assert len(got) <= len(wire)
    assert reason


def test_the_hint_and_the_close_reach_the_wire():
    tape = Tape()
    carrier = SpdyCarrier(tape)
    carrier.expect(70_000)
    carrier.close()
    assert (tape.lulls, tape.closed, carrier.fileno()) == ([70_000], 1, 7)
