"""What an open tunnel does, from attach on: packets, credits, heartbeats."""

import math

import pytest

from kttun.protocol import HEADROOM, frames
from kttun.protocol.errors import LocalProtocolError, RemoteProtocolError
from kttun.protocol.events import CreditReceived, LaneSilent, Opened, RttMeasured
from kttun.protocol.frames import PACKETS_LIMIT, Kind
from kttun.protocol.states import State

from .conversation import SETTINGS, Conversation, client, forged, gateway, hear, packet, said, stream_bytes


def test_one_round_trip_opens_the_client_and_its_first_record_the_gateway():
    c = Conversation().attach()
    assert (c.client.state, c.gateway.state) == (State.CONNECTING, State.CONNECTING)
    c.carry(c.client)
    c.carry(c.gateway)
    assert c.client_heard == [Opened(b"gateway's report", resumed=False)]
    assert (c.client.state, c.gateway.state) == (State.OPEN, State.CONNECTING)
    c.carry(c.client)
    assert c.gateway_heard == [Opened(b"client's report", resumed=False)]
    assert c.gateway.state is State.OPEN


def test_the_responder_waits_and_the_initiator_speaks_first():
    c = Conversation().attach()
    assert said(c.gateway, c.now) == b""
    assert c.client.deadline() == -math.inf
    assert said(c.client, c.now).startswith(b"kttun\n")
    assert c.client.deadline() == c.gateway.deadline() == SETTINGS.handshake_s


def test_everything_to_send_has_headroom_in_front():
    c = Conversation().attach()
    assert c.client.data_to_send(c.now).startswith(bytes(HEADROOM) + b"kttun\n")
    c = Conversation().connect()
    assert c.client.seal([packet()], c.now).startswith(bytes(HEADROOM) + b"\0\0\0")


def test_packets_arrive_in_order_and_unchanged_in_both_directions():
    c = Conversation().connect()
    c.send(c.client, packet("one"), packet("two"))
    c.send(c.gateway, packet("three", 65535))
    c.send(c.client, packet("four"))
    assert c.packets[c.gateway] == [packet("one"), packet("two"), packet("four")]
    assert c.packets[c.client] == [packet("three", 65535)]


def test_the_first_packets_may_open_the_gateway_themselves():
    c = Conversation().attach()
    c.carry(c.client)
    c.carry(c.gateway)
    c.send(c.client, packet("eager"))
    assert c.packets[c.gateway] == [packet("eager")]
    assert [type(event) for event in c.gateway_heard] == [Opened]


def test_records_that_came_with_the_handshake_message_are_not_lost():
    c = Conversation().attach()
    c.carry(c.client)
    c.carry(c.gateway)
    ping, first = said(c.client, c.now), stream_bytes(c.client.seal([packet()], c.now))
    c.tell(c.gateway, ping + first)
    answer = said(c.gateway, c.now)
    both = answer + stream_bytes(c.gateway.seal([packet("reply")], c.now))
    c.tell(c.client, both)
    assert c.packets[c.client] == [packet("reply")]


def test_nothing_is_said_to_a_client_that_has_not_proved_itself():
    c = Conversation().attach()
    c.carry(c.client)
    assert said(c.gateway, c.now)[:6] == b"kttun\n"
    assert c.gateway.data_to_send(c.now) is None
    with pytest.raises(LocalProtocolError, match="connecting cannot seal"):
        c.gateway.seal([packet()], c.now)


def test_one_record_is_given_at_a_time():
    c = Conversation().connect()
    two = stream_bytes(c.client.seal([packet("1")], c.now)) + stream_bytes(c.client.seal([packet("2")], c.now))
    c.gateway.buffer()[: len(two)] = two
    got = c.gateway.received(len(two), c.now)
    assert (list(got.packets), got.more) == ([packet("1")], True)
    got = c.gateway.more(c.now)
    assert (list(got.packets), got.more) == ([packet("2")], False)
    assert c.gateway.more(c.now) == ((), [], False)


def test_a_stream_cut_into_single_bytes_says_the_same():
    c = Conversation().attach()
    for _ in range(3):
        for sender in (c.client, c.gateway):
            for byte in said(sender, c.now):
                c.tell(c.other(sender), bytes([byte]))
    assert c.client_heard == [Opened(b"gateway's report", resumed=False), RttMeasured(0.0)]
    assert c.gateway_heard == [Opened(b"client's report", resumed=False), RttMeasured(0.0)]


def test_missing_names_bytes_that_must_certainly_come():
    c = Conversation()
    assert c.client.missing == 0
    c.attach()
    assert c.client.missing == 32
    hello = said(c.client, c.now)
    c.tell(c.gateway, hello[:32])
    assert c.gateway.missing == 2
    c.tell(c.gateway, hello[32:34])
    assert c.gateway.missing == len(hello) - 34
    c.tell(c.gateway, hello[34:])
    c.carry(c.gateway)
    assert c.client.missing == 4


@pytest.mark.parametrize("packets", [[], [b"short"], [bytes(PACKETS_LIMIT)]])
def test_a_record_that_cannot_be_takes_nothing_with_it(packets):
    c = Conversation().connect()
    c.send(c.client, packet("owed"))
    with pytest.raises(LocalProtocolError, match="make no record"):
        c.gateway.seal(packets, c.now)
    c.send(c.gateway, packet("fine"))
    assert c.packets[c.client] == [packet("fine")]
    assert c.client.in_flight == 0


def test_the_fullest_record_with_every_control_frame_in_front_passes():
    c = Conversation().connect()
    c.send(c.client, packet("owed"))
    c.tell(c.gateway, forged(c.client, frames.u64(Kind.PING, 1)))
    c.wait(SETTINGS.heartbeat_s)
    c.gateway.set_window(10**6)
    c.send(c.gateway, bytes(PACKETS_LIMIT - 4))
    assert c.packets[c.client] == [bytes(PACKETS_LIMIT - 4)]


def test_without_a_stream_there_is_neither_room_nor_anything_to_send():
    lonely = client()
    for verb in (lonely.buffer, lambda: lonely.received(0, 0.0), lambda: lonely.more(0.0)):
        with pytest.raises(LocalProtocolError, match="connecting has no stream: attach one"):
            verb()
    lonely.set_window(1)
    assert lonely.data_to_send(0.0) is None
    assert lonely.deadline() == math.inf
    assert (lonely.sent, lonely.credited, lonely.in_flight, lonely.rtt, lonely.skipped) == (0, 0, 0, None, 0)


# Credits


def test_a_little_is_credited_after_the_delay():
    c = Conversation().connect()
    record = c.client.seal([packet()], c.now)
    sent = len(record) - HEADROOM
    c.tell(c.gateway, stream_bytes(record))
    assert (c.client.sent, c.client.in_flight) == (sent, sent)
    assert c.gateway.deadline() == c.now + SETTINGS.credit_delay_s
    assert c.gateway.data_to_send(c.now) is None
    c.wait(SETTINGS.credit_delay_s)
    c.carry(c.gateway)
    assert c.client_heard == [CreditReceived(sent)]
    assert (c.client.credited, c.client.in_flight) == (sent, 0)


def test_a_quarter_of_the_default_window_is_credited_at_once():
    c = Conversation().connect()
    c.send(c.client, packet(size=65535))
    assert c.gateway.data_to_send(c.now) is None
    c.send(c.client, packet(size=65535))
    c.carry(c.gateway)
    assert c.client.in_flight == 0


def test_a_smaller_window_makes_credits_come_sooner():
    c = Conversation().connect()
    c.client.set_window(4000)
    c.send(c.client, packet(size=1000))
    c.carry(c.gateway)
    assert c.client.in_flight == 0


def test_a_credit_rides_on_packets_that_go_anyway():
    c = Conversation().connect()
    c.send(c.client, packet("question"))
    c.send(c.gateway, packet("answer"))
    assert c.client.in_flight == 0
    c.wait(SETTINGS.credit_delay_s)
    assert c.gateway.data_to_send(c.now) is None


def test_a_credit_asks_for_no_credit():
    c = Conversation().connect()
    c.send(c.client, packet())
    c.wait(SETTINGS.credit_delay_s)
    c.carry(c.gateway)
    c.wait(1.0)
    assert c.client.data_to_send(c.now) is None
    assert c.gateway.data_to_send(c.now) is None
    assert c.gateway.in_flight == 0


# Heartbeats


def test_both_ends_measure_the_round_trip_when_they_open():
    c = Conversation().attach()
    c.carry(c.client)
    c.carry(c.gateway)
    ping = said(c.client, c.now)
    c.now = 0.25
    c.tell(c.gateway, ping)
    c.carry(c.gateway)
    assert c.client.rtt == 0.25
    assert c.client_heard[-1] == RttMeasured(0.25)
    assert c.gateway.rtt is None


def test_an_idle_lane_is_asked_at_each_heartbeat_and_never_falls_silent():
    c = Conversation().connect()
    for _ in range(10):
        assert c.client.deadline() == c.now + SETTINGS.heartbeat_s
        assert c.client.data_to_send(c.now + SETTINGS.heartbeat_s - 0.001) is None
        c.wait(SETTINGS.heartbeat_s)
        c.settle()
    assert c.client_heard == [RttMeasured(0.0)] * 10
    assert c.client.last_heard == c.now


def test_a_ping_rides_on_packets_that_go_anyway():
    c = Conversation().connect()
    c.wait(SETTINGS.heartbeat_s)
    c.send(c.client, packet())
    assert c.client.data_to_send(c.now) is None
    c.send(c.gateway, packet())
    assert c.client_heard == [CreditReceived(c.client.sent), RttMeasured(0.0)]


def test_an_open_lane_that_says_nothing_for_so_long_is_given_up():
    c = Conversation().connect()
    c.wait(SETTINGS.heartbeat_s)
    said(c.client, c.now)
    assert c.client.deadline() == SETTINGS.dead_s
    c.wait(SETTINGS.dead_s - SETTINGS.heartbeat_s - 0.001)
    assert c.client_heard == []
    c.wait(0.001)
    assert c.client_heard == [LaneSilent()]
    assert (c.client.state, c.client.since) == (State.RESUMING, SETTINGS.dead_s)
    assert c.client.handle_timer(c.now) == []


def test_any_byte_is_a_sign_of_life_and_no_byte_is_none():
    c = Conversation().connect()
    record = stream_bytes(c.gateway.seal([packet()], c.now))
    c.wait(10.0)
    c.tell(c.client, record[:1])
    assert c.client.last_heard == 10.0
    c.wait(10.0)
    c.tell(c.client, b"")
    assert c.client.last_heard == 10.0
    assert c.client.state is State.OPEN


@pytest.mark.parametrize("end", [client, gateway])
def test_a_handshake_that_takes_too_long_is_given_up(end):
    tunnel = end()
    tunnel.attach(1.0)
    said(tunnel, 1.0)
    assert tunnel.handle_timer(1.0 + SETTINGS.handshake_s - 0.001) == []
    assert tunnel.handle_timer(1.0 + SETTINGS.handshake_s) == [LaneSilent()]
    assert tunnel.state is State.CONNECTING
    assert tunnel.last_heard == 1.0


# What an authentic peer may send


def test_frames_of_unknown_kinds_are_skipped_and_counted():
    c = Conversation().connect()
    unknown = bytes.fromhex("ff000003 616263 07000000")
    c.tell(c.gateway, forged(c.client, unknown, *frames.packet_parts([packet()])))
    assert c.packets[c.gateway] == [packet()]
    assert c.gateway.skipped == 2
    c.gateway.detach(c.now)
    assert c.gateway.skipped == 2


def test_a_sequence_number_means_nothing_on_the_only_lane():
    c = Conversation().connect()
    c.tell(c.gateway, forged(c.client, frames.u64(Kind.SEQUENCE, 1), *frames.packet_parts([packet()])))
    assert c.packets[c.gateway] == [packet()]
    assert c.gateway.skipped == 0


@pytest.mark.parametrize(
    "frame",
    [
        frames.u64(Kind.CREDIT, 1),
        frames.u32(Kind.CREDIT, 0),
        frames.u64(Kind.WINDOW, 1),
        frames.u32(Kind.PING, 1),
        frames.u32(Kind.PONG, 1),
        frames.u32(Kind.SEQUENCE, 1),
        bytes.fromhex("05000001 ff"),
        bytes.fromhex("00000001 00"),
    ],
)
def test_a_frame_that_is_wrong_costs_the_stream_and_not_the_session(frame):
    c = Conversation().connect()
    c.send(c.client, packet("before"))
    with pytest.raises(RemoteProtocolError):
        hear(c.gateway, forged(c.client, frame), c.now)
    assert c.packets[c.gateway] == [packet("before")]
    assert c.gateway.state is State.RESUMING
    assert c.gateway.data_to_send(c.now) is None


def test_a_window_of_nothing_makes_each_record_be_credited():
    c = Conversation().connect()
    c.tell(c.gateway, forged(c.client, frames.u32(Kind.WINDOW, 0)))
    c.send(c.client, packet())
    c.settle()
    assert c.client.in_flight == 0
