"""How a session ends."""

import math

import pytest

from kttun.protocol import frames
from kttun.protocol.errors import LocalProtocolError, RemoteProtocolError
from kttun.protocol.events import LaneSilent, PeerClosed
from kttun.protocol.states import State

from .conversation import SETTINGS, Conversation, forged, gateway, hear, packet, said, stream_bytes


def test_a_close_is_heard_agreed_to_and_over_at_both_ends():
    c = Conversation().connect()
    c.client.close("kttun down", c.now)
    assert c.client.state is State.CLOSING
    c.carry(c.client)
    assert c.gateway_heard == [PeerClosed("kttun down")]
    assert c.gateway.state is State.CLOSED
    c.carry(c.gateway)
    assert c.client_heard == [PeerClosed("")]
    assert c.client.state is State.CLOSED
    assert said(c.client, c.now) == said(c.gateway, c.now) == b""


def test_both_may_close_at_once():
    c = Conversation().connect()
    c.client.close("client's", c.now)
    c.gateway.close("gateway's", c.now)
    from_client, from_gateway = said(c.client, c.now), said(c.gateway, c.now)
    c.tell(c.client, from_gateway)
    c.tell(c.gateway, from_client)
    assert (c.client_heard, c.gateway_heard) == ([PeerClosed("gateway's")], [PeerClosed("client's")])
    assert (c.client.state, c.gateway.state) == (State.CLOSED, State.CLOSED)


def test_a_close_that_has_not_left_yet_answers_the_peers():
    c = Conversation().connect()
    c.client.close("client's", c.now)
    c.gateway.close("gateway's", c.now)
    c.carry(c.client)
    assert c.gateway.state is State.CLOSED
    c.carry(c.gateway)
    assert c.client_heard == [PeerClosed("gateway's")]


def test_packets_that_are_under_way_arrive_before_the_close():
    c = Conversation().connect()
    c.gateway.close("enough", c.now)
    c.send(c.client, packet("late"))
    assert c.packets[c.gateway] == [packet("late")]
    assert c.gateway.state is State.CLOSING


def test_a_close_waits_no_longer_than_its_time():
    c = Conversation().connect()
    c.client.close("bye", c.now)
    said(c.client, c.now)
    assert c.client.deadline() == SETTINGS.close_s
    c.wait(SETTINGS.close_s)
    assert c.client_heard == [LaneSilent()]
    assert c.client.state is State.CLOSED
    assert c.client.deadline() == math.inf


def test_a_stream_lost_while_closing_is_the_end():
    c = Conversation().connect()
    c.client.close("bye", c.now)
    c.client.detach(c.now)
    assert c.client.state is State.CLOSED


def test_without_an_open_stream_close_means_closed():
    c = Conversation().attach()
    c.client.close("never mind", c.now)
    assert c.client.state is State.CLOSED
    assert said(c.client, c.now) == b""
    c = Conversation().connect()
    c.gateway.detach(c.now)
    c.gateway.close("never mind", c.now)
    assert c.gateway.state is State.CLOSED


def test_close_may_be_called_twice_and_the_first_reason_counts():
    c = Conversation().connect()
    c.client.close("first", c.now)
    c.client.close("second", c.now)
    c.carry(c.client)
    assert c.gateway_heard == [PeerClosed("first")]
    c.gateway.close("third", c.now)
    assert said(c.gateway, c.now) != b""


@pytest.mark.parametrize("settle", [False, True])
def test_a_closing_or_closed_tunnel_takes_neither_packets_nor_streams(settle):
    c = Conversation().connect()
    c.client.close("bye", c.now)
    if settle:
        c.settle()
    with pytest.raises(LocalProtocolError, match="cannot seal packets"):
        c.client.seal([packet()], c.now)
    state = c.client.state
    with pytest.raises(LocalProtocolError, match=f"{state} cannot attach"):
        c.client.attach(c.now)
    assert c.client.state is state


def test_what_comes_behind_a_close_is_not_read():
    c = Conversation().connect()
    close = forged(c.client, *frames.packet_parts([packet("with it")]), frames.close("bye"))
    behind = stream_bytes(c.client.seal([packet("behind it")], c.now))
    c.tell(c.gateway, close + behind)
    assert c.packets[c.gateway] == [packet("with it")]
    assert c.gateway_heard == [PeerClosed("bye")]
    with pytest.raises(LocalProtocolError, match="closed has no stream"):
        c.gateway.buffer()


def test_a_client_may_close_with_its_very_first_record():
    c = Conversation().attach()
    c.carry(c.client)
    c.carry(c.gateway)
    c.client.close("changed my mind", c.now)
    c.carry(c.client)
    assert c.gateway_heard[-1] == PeerClosed("changed my mind")
    assert c.gateway.state is State.CLOSED


def test_detaching_leaves_a_refusal_to_be_sent_and_attaching_does_not():
    tunnel = gateway()
    tunnel.attach(0.0)
    with pytest.raises(RemoteProtocolError):
        hear(tunnel, b"kttun\n\0\x02" + bytes(24), 0.0)
    tunnel.detach(0.0)
    assert tunnel.deadline() == math.inf
    tunnel.attach(0.0)
    assert tunnel.data_to_send(0.0) is None
