"""Whatever bytes come: `RemoteProtocolError` or nothing; and however a stream is cut, it says the same."""

import contextlib
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kttun.protocol import frames
from kttun.protocol.errors import RemoteProtocolError
from kttun.protocol.frames import Kind
from kttun.protocol.preface import Preface, Status
from kttun.protocol.states import State

from .conversation import SESSION, Conversation, client, forged, gateway, hear, packet, said, stream_bytes

KIND = st.sampled_from([*Kind, 7, 255])
FRAME = st.builds(
    lambda kind, length, body: (kind << 24 | length).to_bytes(4, "big") + body,
    KIND,
    st.integers(0, 24),
    st.binary(max_size=24),
)


def survives(tunnel, data: bytes) -> None:
    """Let `tunnel` hear `data` and everything after it that a loop would do; then it must be ready for a new stream."""
    with contextlib.suppress(RemoteProtocolError):
        hear(tunnel, data, 1.0)
    said(tunnel, 1.0)
    tunnel.deadline()
    tunnel.handle_timer(100.0)
    if tunnel.state is not State.CLOSED:
        tunnel.attach(100.0)


@given(st.binary(max_size=300))
@pytest.mark.parametrize("end", [client, gateway])
def test_hostile_bytes_instead_of_a_handshake(end, data):
    tunnel = end()
    tunnel.attach(0.0)
    survives(tunnel, data)
    assert tunnel.state is State.CONNECTING


@given(st.binary(max_size=300), st.sampled_from(Status))
@pytest.mark.parametrize("end", [client, gateway])
def test_hostile_bytes_behind_a_good_preface(end, data, status):
    tunnel = end()
    tunnel.attach(0.0)
    survives(tunnel, Preface(SESSION, status=status).pack() + data)
    assert tunnel.state is State.CONNECTING


@given(st.integers(0, 120), st.integers(1, 255))
def test_a_handshake_changed_anywhere_opens_nothing(place, change):
    c = Conversation().attach()
    hello = bytearray(said(c.client, c.now))
    hello[place % len(hello)] ^= change
    survives(c.gateway, bytes(hello))
    assert c.gateway.state is State.CONNECTING


@given(st.integers(0, 120), st.integers(1, 255))
def test_an_answer_changed_anywhere_opens_nothing(place, change):
    c = Conversation().attach()
    c.carry(c.client)
    answer = bytearray(said(c.gateway, c.now))
    answer[place % len(answer)] ^= change
    survives(c.client, bytes(answer))
    assert c.client.state is State.CONNECTING


@given(st.binary(max_size=300))
def test_hostile_bytes_on_an_open_stream(data):
    c = Conversation().connect()
    survives(c.gateway, data)
    assert c.gateway.state is State.RESUMING


@given(st.lists(FRAME, max_size=6))
def test_hostile_frames_of_an_authentic_peer(hostile):
    c = Conversation().connect()
    survives(c.gateway, forged(c.client, *hostile))


@given(st.binary(max_size=100))
def test_hostile_plaintext_of_an_authentic_peer(data):
    c = Conversation().connect()
    survives(c.gateway, forged(c.client, data))


def story() -> tuple[list[bytes], bytes]:
    """The packets of a whole conversation, and everything that the client said in it."""
    c = Conversation().attach()
    packets = [packet("tiny"), packet("big", 3000), packet(), packet("last")]
    words = said(c.client, c.now)
    c.tell(c.gateway, words)
    c.carry(c.gateway)
    words += said(c.client, c.now)
    words += stream_bytes(c.client.seal(packets[:2], c.now)) + stream_bytes(c.client.seal(packets[2:], c.now))
    words += forged(c.client, b"\xee\0\0\x01?", frames.close("done"))
    return packets, words


@given(st.lists(st.integers(0, 3600), max_size=12))
def test_a_stream_cut_anywhere_says_the_same(cuts):
    packets, words = story()
    whole, in_pieces = gateway(random.Random(2).randbytes), gateway(random.Random(2).randbytes)
    heard = []
    for tunnel, borders in ((whole, []), (in_pieces, sorted(min(cut, len(words) - 1) for cut in cuts))):
        tunnel.attach(0.0)
        said_packets, events = [], []
        for start, end in zip([0, *borders], [*borders, len(words)], strict=True):
            more_packets, more_events = hear(tunnel, words[start:end], 0.0)
            said_packets += more_packets
            events += more_events
        heard.append((said_packets, events, tunnel.state, tunnel.skipped))
    assert heard[0] == heard[1]
    assert heard[0][0] == packets
    assert heard[0][2:] == (State.CLOSED, 1)
