import pytest
from hypothesis import given
from hypothesis import strategies as st
from tape import Tape, cut, drain
from websockets.protocol import OPEN, SERVER, Protocol

from kttun.link.websocket import MAX_MESSAGE, WebSocketCarrier
from kttun.protocol import HEADROOM

PORT = b"\x39\x30"


class Far:
    """The runtime's end, sans-IO, by the library."""

    def __init__(self, *, greet=True):
        self.protocol = Protocol(SERVER, state=OPEN)
        if greet:
            self.say(b"\0" + PORT)
            self.say(b"\1" + PORT)

    def say(self, message):
        self.protocol.send_binary(message)
        return self

    def bytes(self):
        return b"".join(self.protocol.data_to_send())

    def heard(self, data):
        self.protocol.receive_data(bytes(data))
        return [(event.opcode.name, event.fin, bytes(event.data)) for event in self.protocol.events_received()]


def test_a_record_is_one_unfragmented_binary_message_on_channel_0():
    framed = WebSocketCarrier(Tape()).frame(bytearray(HEADROOM) + b"sealed" * 20_000)
    assert Far().heard(framed) == [("BINARY", True, b"\0" + b"sealed" * 20_000)]


@given(
    payloads=st.lists(st.binary(min_size=1, max_size=300), max_size=12),
    sizes=st.lists(st.integers(0, 40), min_size=1, max_size=5),
    room=st.integers(1, 500),
)
def test_the_stream_is_channel_0_without_its_greeting_however_it_is_cut(payloads, sizes, room):
    far = Far()
    for payload in payloads:
        far.say(b"\0" + payload).say(b"\7unknown channel").say(b"")
    far.protocol.send_close(1000)
    got, reason = drain(WebSocketCarrier(Tape(*cut(far.bytes(), sizes))), room)
    assert got == b"".join(payloads)
    assert reason == "the pod closed the stream"


def test_the_error_channel_ends_the_lane_with_its_text():
    wire = Far().say(b"\0before").say(b"\1nobody listens\n").bytes()
    carrier = WebSocketCarrier(Tape(wire, end=None))
    assert drain(carrier) == (b"before", "nobody listens")
    assert carrier.pending


def test_a_close_frame_ends_the_lane_with_its_reason_and_framing_stays_harmless():
    far = Far()
    far.protocol.send_close(1011, "node is going")
    carrier = WebSocketCarrier(Tape(far.bytes(), end=None))
    assert drain(carrier) == (b"", "node is going")
    assert len(carrier.frame(bytearray(HEADROOM) + b"late")) == 0


def test_a_broken_connection_delivers_first_what_came_with_it():
    carrier = WebSocketCarrier(Tape(Far().say(b"\0last").bytes(), end="reset"))
    assert drain(carrier) == (b"last", "reset")


def test_a_ping_is_answered_between_messages():
    far = Far()
    far.protocol.send_ping(b"4711")
    tape = Tape(far.bytes(), end=None)
    carrier = WebSocketCarrier(tape)
    assert carrier.receive_into(memoryview(bytearray(10))) == 0
    assert carrier.want_write
    framed = carrier.frame(bytearray(HEADROOM) + b"x")
    carrier.send(framed)
    assert far.heard(tape.sent) == [("PONG", True, b"4711"), ("BINARY", True, b"\0x")]


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (lambda p: p.send_text(b"hello"), "unexpected text frame from the runtime"),
        (lambda p: p.send_binary(b"\0toolong"), "the runtime did not begin with the port, as v4.channel.k8s.io does"),
        (lambda p: p.send_binary(bytes(MAX_MESSAGE + 1)), "the API server does not speak WebSocket on this connection"),
    ],
)
def test_what_v4_does_not_know_ends_the_lane(message, reason):
    far = Far(greet=False)
    message(far.protocol)
    assert drain(WebSocketCarrier(Tape(far.bytes(), end=None))) == (b"", reason)


def test_a_fragmented_message_ends_the_lane():
    far = Far()
    far.protocol.send_binary(b"\0part", fin=False)
    far.protocol.send_continuation(b"rest", fin=True)
    assert drain(WebSocketCarrier(Tape(far.bytes(), end=None)))[1] == "unexpected cont frame from the runtime"


@given(wire=st.binary(max_size=600), sizes=st.lists(st.integers(1, 64), min_size=1, max_size=4), greet=st.booleans())
def test_hostile_bytes_end_the_lane_and_nothing_else(wire, sizes, greet):
    start = Far().bytes() if greet else b""
    got, reason = drain(WebSocketCarrier(Tape(*cut(start + wire, sizes))), 7)
    assert len(got) <= len(wire)
    assert reason
