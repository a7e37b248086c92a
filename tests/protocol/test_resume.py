"""Streams die, the session goes on."""

import pytest

from kttun.protocol import HEADROOM
from kttun.protocol.errors import RemoteProtocolError
from kttun.protocol.events import LaneSilent, Opened
from kttun.protocol.states import State

from .conversation import SETTINGS, Conversation, hear, packet, said, stream_bytes


def reattach(c: Conversation) -> None:
    """Both ends lose the stream and get another one."""
    c.client.detach(c.now)
    c.gateway.detach(c.now)
    c.attach().settle()


def test_a_new_stream_resumes_the_session():
    c = Conversation().connect()
    c.client.detach(c.now)
    assert c.client.state is State.RESUMING
    c.gateway.detach(c.now)
    c.attach().settle()
    assert (c.client.state, c.gateway.state) == (State.OPEN, State.OPEN)
    assert c.client_heard[0] == Opened(b"gateway's report", resumed=True)
    assert c.gateway_heard[0] == Opened(b"client's report", resumed=True)
    c.send(c.client, packet("again"))
    assert c.packets[c.gateway] == [packet("again")]


def test_totals_begin_anew_with_each_stream():
    c = Conversation().connect()
    c.send(c.client, packet("lost on the way"))
    assert c.client.in_flight > 0
    reattach(c)
    assert (c.client.sent, c.client.credited, c.client.in_flight) == (0, 0, 0)


def test_each_stream_has_keys_of_its_own():
    c = Conversation().connect()
    first = stream_bytes(c.client.seal([packet()], c.now))
    reattach(c)
    second = stream_bytes(c.client.seal([packet()], c.now))
    assert len(first) == len(second)
    assert first[4:] != second[4:]


def test_a_record_of_an_earlier_stream_is_not_authentic():
    c = Conversation().connect()
    old = stream_bytes(c.client.seal([packet()], c.now))
    reattach(c)
    with pytest.raises(RemoteProtocolError, match="not authentic"):
        hear(c.gateway, old, c.now)


def test_a_stream_cut_inside_a_record_gives_nothing_of_it():
    c = Conversation().connect()
    record = stream_bytes(c.client.seal([packet("whole or not at all")], c.now))
    c.tell(c.gateway, record[:-1])
    reattach(c)
    assert c.packets[c.gateway] == []
    assert c.gateway.state is State.OPEN


def test_a_stream_cut_inside_the_handshake_leaves_the_session_as_it_was():
    c = Conversation().attach()
    c.tell(c.gateway, said(c.client, c.now)[:50])
    assert c.gateway.state is State.CONNECTING
    reattach(c)
    assert c.gateway_heard[0] == Opened(b"client's report", resumed=False)


def test_end_of_stream_never_closes_a_session():
    c = Conversation().connect()
    for _ in range(3):
        c.client.detach(c.now)
    assert c.client.state is State.RESUMING


def test_detach_before_any_stream_changes_nothing():
    c = Conversation()
    c.client.detach(5.0)
    assert (c.client.state, c.client.since) == (State.CONNECTING, 0.0)


def test_a_gateway_that_gets_another_stream_gives_the_old_one_up():
    c = Conversation().connect()
    c.now = 3.0
    c.client.detach(c.now)  # the gateway has not heard of that
    c.attach()
    assert c.gateway.state is State.RESUMING
    c.settle()
    assert c.gateway_heard[0] == Opened(b"client's report", resumed=True)
    assert c.gateway.since == 3.0


def test_a_stranger_on_a_successor_does_not_touch_the_live_stream():
    c = Conversation().connect()
    candidate = c.gateway.successor(c.now)
    candidate.attach(c.now)
    assert candidate.state is State.RESUMING
    with pytest.raises(RemoteProtocolError):
        hear(candidate, b"GET / HTTP/1.1\r\n", c.now)
    c.send(c.client, packet("still here"))
    assert c.packets[c.gateway] == [packet("still here")]


def test_a_client_that_proves_itself_on_a_successor_resumes_there():
    c = Conversation().connect()
    old = c.gateway
    moved = Conversation(c.client, old.successor(c.now)).attach()
    moved.settle()
    assert moved.gateway_heard[0] == Opened(b"client's report", resumed=True)
    assert old.state is State.OPEN
    old.detach(c.now)
    moved.send(moved.client, packet("moved"))
    assert moved.packets[moved.gateway] == [packet("moved")]


def test_a_successor_of_what_was_never_open_is_connecting():
    c = Conversation()
    assert c.gateway.successor(c.now).state is State.CONNECTING


def test_a_broken_stream_leaves_packets_before_it_and_waits_for_another():
    c = Conversation().connect()
    good = stream_bytes(c.client.seal([packet("good")], c.now))
    bad = bytearray(c.client.seal([packet("bad")], c.now)[HEADROOM:])
    bad[-1] ^= 1
    both = good + bad
    c.gateway.buffer()[: len(both)] = both
    got = c.gateway.received(len(both), c.now)
    assert (list(got.packets), got.more) == ([packet("good")], True)
    with pytest.raises(RemoteProtocolError):
        c.gateway.more(c.now)
    assert c.gateway.state is State.RESUMING


def test_a_silent_resume_is_given_up_and_tried_again():
    c = Conversation().connect()
    c.client.detach(c.now)
    c.client.attach(c.now)
    c.wait(SETTINGS.handshake_s)
    assert c.client_heard == [LaneSilent()]
    assert c.client.state is State.RESUMING
    c.attach().settle()
    assert c.client.state is State.OPEN
