"""Two links as a conversation: real tunnels and sockets, TUNs that are socket pairs, no time but turns."""

import errno
import os
import socket
import threading

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from kttun.link.carrier import LaneLostError, PlainCarrier
from kttun.link.events import Closed, LaneLost, LaneRefused, TunLost
from kttun.link.limiter import START
from kttun.link.pump import MOST_STRANGERS
from kttun.protocol.errors import AuthenticationError, RemoteProtocolError
from kttun.protocol.events import Opened, PeerClosed
from kttun.protocol.noise import Role
from kttun.protocol.states import State

SIZES = [1, 52, 576, 1400, 9000, 65_000]


class NarrowCarrier(PlainCarrier):
    """Takes 1000 bytes at a time and would block every other time."""

    calls = 0

    def send(self, data):
        self.calls += 1
        return super().send(data[:1000]) if self.calls % 2 else 0


class HoardingCarrier(PlainCarrier):
    """Takes all from the kernel at once, hands out little pieces, and owes control bytes now and then."""

    def __init__(self, sock):
        super().__init__(sock)
        self.hoard = b""
        self.want_write = True

    @property
    def pending(self):
        return bool(self.hoard)

    def send(self, data):
        self.want_write = False
        return super().send(data)

    def receive_into(self, buffer):
        if not self.hoard:
            block = bytearray(1 << 20)
            self.hoard = bytes(block[: super().receive_into(memoryview(block))])
        piece, self.hoard = self.hoard[: min(7000, len(buffer))], self.hoard[min(7000, len(buffer)) :]
        buffer[: len(piece)] = piece
        return len(piece)


@pytest.mark.parametrize("carrier", [PlainCarrier, NarrowCarrier, HoardingCarrier])
def test_packets_cross_both_ways_byte_exact_and_in_order(pair, make_packet, carrier):
    pair.join(carrier)
    up = [make_packet(os.urandom(size)) for size in SIZES]
    down = [make_packet(os.urandom(size), source=b"\x0a\0\0\x09", destination=b"\x64\x40\0\x02") for size in SIZES]
    for _ in range(3):
        pair.laptop.emit(*up)
        pair.gateway.emit(*down)
        pair.settle(300)
        assert pair.gateway.got() == up
        assert pair.laptop.got() == down
    assert pair.laptop.drops == pair.gateway.drops == {}


def test_the_handshake_opens_both_ends_with_their_reports(open_pair):
    assert open_pair.laptop.heard(Opened) == [Opened(b"responder", resumed=False)]
    assert open_pair.gateway.heard(Opened) == [Opened(b"initiator", resumed=False)]
    status = open_pair.laptop.link.status()
    assert (status.state, status.carrier, status.in_flight, status.queued) == (State.OPEN, "plain", 0, 0)


def test_counters_count_ip_bytes_of_packets_read_and_written(open_pair, make_packet):
    sent = [make_packet(bytes(size)) for size in SIZES]
    open_pair.laptop.emit(*sent)
    open_pair.settle()
    size = sum(map(len, sent)) - 10 * len(sent)
    near, far = open_pair.laptop.link.counters, open_pair.gateway.link.counters
    assert (near.tx_packets, near.tx_bytes, near.rx_packets, near.rx_bytes) == (len(sent), size, 0, 0)
    assert (far.rx_packets, far.rx_bytes, far.tx_packets, far.tx_bytes) == (len(sent), size, 0, 0)
    assert near.tx_records == far.rx_records > 0
    assert near.credits > 0


def test_a_foreign_source_is_dropped_at_the_laptop_and_again_at_the_gateway(pair, make_packet):
    careless = pair.make(Role.INITIATOR, inner=b"\x64\x40\0\x63")
    pair.join(laptop=careless)
    careless.emit(make_packet(b"stranger", source=b"\x01\x02\x03\x04"))
    careless.emit(make_packet(b"not bound to the session", source=b"\x64\x40\0\x63"))
    pair.settle()
    assert careless.drops == {"spoofed_source": 1}
    assert pair.gateway.drops == {"spoofed_source": 1}
    assert pair.gateway.got() == []


def test_at_the_laptop_any_source_may_come_in_and_at_the_gateway_any_may_go_out(open_pair, make_packet):
    answer = make_packet(b"answer", source=b"\x08\x08\x08\x08")
    open_pair.gateway.emit(answer)
    open_pair.settle()
    assert open_pair.laptop.got() == [answer]


def test_what_is_no_packet_is_counted_as_malformed(open_pair):
    open_pair.laptop.emit(bytes(10) + b"\x10nonsense" * 5, bytes(12))
    open_pair.settle()
    assert open_pair.laptop.drops == {"malformed": 2}


def test_no_more_than_the_limit_is_in_flight_while_nobody_credits(open_pair, make_packet):
    laptop = open_pair.laptop
    laptop.emit(*[make_packet(bytes(1400)) for _ in range(400)])
    open_pair.settle(50, laptop)
    status = laptop.link.status()
    assert START <= status.in_flight <= START + 2000
    assert status.queued + status.in_flight >= 400 * 1400
    open_pair.settle(100)
    assert len(open_pair.gateway.got()) == 400


def test_a_sparse_flow_passes_those_that_wait(open_pair, make_packet):
    laptop = open_pair.laptop
    laptop.emit(*[make_packet(bytes(1400)) for _ in range(400)])
    open_pair.settle(50, laptop)
    question = make_packet(b"question", port=53, protocol=17)
    laptop.emit(question)
    open_pair.settle(100)
    assert 0 < open_pair.gateway.got().index(question) < 120


def test_a_cut_keeps_the_queue_and_the_session_resumes(open_pair, make_packet):
    pair = open_pair
    near, _ = pair.laptop.heard(LaneLost), pair.laptop.got()
    assert near == []
    pair.laptop.link._lane.carrier._sock.shutdown(socket.SHUT_RDWR)
    pair.settle(5)
    for end in (pair.laptop, pair.gateway):
        assert [type(event.error) for event in end.heard(LaneLost)] == [LaneLostError]
        assert end.link.status().state is State.RESUMING
        assert end.link.counters.lanes_lost == 1
    waiting = [make_packet(b"%d" % n) for n in range(20)]
    pair.laptop.emit(*waiting)
    pair.settle(5)
    assert pair.laptop.link.status().queued == sum(map(len, waiting))
    pair.join()
    assert pair.gateway.got() == waiting
    assert pair.gateway.heard(Opened)[1].resumed
    assert [end.link.counters.resumes for end in (pair.laptop, pair.gateway)] == [1, 1]


def test_through_a_long_cut_the_queue_keeps_its_bound_and_counts(pair, make_packet, small_queues):
    laptop = pair.make(Role.INITIATOR, queues=small_queues)
    for n in range(100):
        laptop.emit(make_packet(n.to_bytes(2, "big") + bytes(3000)))
        laptop.turn()
    assert laptop.link.status().queued <= 100_000
    pair.join(laptop=laptop)
    kept = [int.from_bytes(each[34:36], "big") for each in pair.gateway.got()]
    assert kept == list(range(100 - len(kept), 100))
    assert laptop.drops == {"queue_full": 100 - len(kept)}


def test_packets_in_a_half_sent_record_are_counted_when_the_lane_dies(open_pair, make_packet):
    laptop = open_pair.laptop
    laptop.link._lane.carrier._sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    laptop.emit(*[make_packet(bytes(9000)) for _ in range(20)])
    open_pair.settle(3, laptop)
    assert laptop.link._lane.blocked
    unsent = laptop.link._lane.unsent_packets
    open_pair.gateway.link._lane.carrier._sock.close()
    open_pair.settle(3, laptop)
    assert laptop.drops == {"no_lane": unsent}
    assert unsent > 0


def test_nonsense_from_the_peer_costs_the_lane_and_not_the_session(open_pair, make_packet):
    open_pair.gateway.link._lane.carrier._sock.send(b"\xff" * 100)
    open_pair.settle()
    (lost,) = open_pair.laptop.heard(LaneLost)
    assert isinstance(lost.error, RemoteProtocolError)
    open_pair.join()
    open_pair.laptop.emit(make_packet(b"still here"))
    open_pair.settle()
    assert open_pair.gateway.got() == [make_packet(b"still here")]


def test_a_new_lane_at_the_laptop_takes_the_place_of_the_old_one(open_pair, make_packet):
    open_pair.join()
    open_pair.laptop.emit(make_packet(b"on the new one"))
    open_pair.settle()
    assert open_pair.gateway.got() == [make_packet(b"on the new one")]
    assert open_pair.laptop.heard(LaneLost) == []


def test_strangers_at_the_gateway_disturb_nobody(open_pair, make_packet):
    gateway = open_pair.gateway
    near, far = socket.socketpair()
    gateway.link.attach(PlainCarrier(far))
    near.send(b"GET / HTTP/1.1\r\n\r\n" * 10)
    open_pair.settle()
    (refused,) = gateway.heard(LaneRefused)
    assert isinstance(refused.error, RemoteProtocolError)
    open_pair.laptop.emit(make_packet(b"undisturbed"))
    open_pair.settle()
    assert gateway.got() == [make_packet(b"undisturbed")]
    near.close()


def test_a_client_with_another_key_is_told_so_and_refused(open_pair):
    keys = {**open_pair.keys, Role.INITIATOR: X25519PrivateKey.generate()}
    other = open_pair.make(Role.INITIATOR, keys=keys)
    open_pair.join(laptop=other)
    assert isinstance(other.heard(LaneLost)[0].error, AuthenticationError)
    assert isinstance(open_pair.gateway.heard(LaneRefused)[0].error, AuthenticationError)
    assert open_pair.gateway.link.status().state is State.OPEN


def test_silent_strangers_are_few_and_the_oldest_goes_first(pair):
    sockets = []
    for _ in range(MOST_STRANGERS + 2):
        near, far = socket.socketpair()
        sockets += [near, far]
        pair.gateway.link.attach(PlainCarrier(far))
    assert len(pair.gateway.heard(LaneRefused)) == 2
    assert sockets[0].recv(1) == b""
    pair.now += 60
    pair.settle(1)
    assert len(pair.gateway.heard(LaneRefused)) == MOST_STRANGERS + 2
    for each in sockets:
        each.close()


def test_a_silent_lane_is_given_up(open_pair):
    open_pair.now += 60
    open_pair.settle(1, open_pair.laptop)
    (lost,) = open_pair.laptop.heard(LaneLost)
    assert "silent" in str(lost.error)


def test_an_idle_link_sleeps_until_its_heartbeat(open_pair):
    open_pair.settle(200)
    wait = open_pair.laptop.link.turn_ends()
    assert 1.0 < wait <= 15.0


def test_closing_tells_the_peer_why_and_ends_both(open_pair):
    open_pair.laptop.link.close("user pressed Ctrl-C")
    open_pair.settle()
    assert open_pair.gateway.heard(PeerClosed) == [PeerClosed("user pressed Ctrl-C")]
    for end in (open_pair.laptop, open_pair.gateway):
        assert end.events[-1] == Closed()
        assert end.heard(LaneLost) == []
        assert end.link.status().state is State.CLOSED
    near, far = socket.socketpair()
    open_pair.laptop.link.attach(PlainCarrier(near))
    assert far.recv(1) == b""
    far.close()


def test_closing_does_not_wait_for_a_dead_peer_for_ever(open_pair):
    open_pair.laptop.link.close("bye")
    open_pair.settle(5, open_pair.laptop)
    assert open_pair.laptop.heard(Closed) == []
    open_pair.now += 5
    open_pair.settle(1, open_pair.laptop)
    assert open_pair.laptop.heard(Closed) == [Closed()]


def test_a_stream_that_proves_itself_while_the_session_closes_is_turned_away(open_pair):
    gateway, again = open_pair.gateway, open_pair.make(Role.INITIATOR)
    near, far = socket.socketpair()
    gateway.link.attach(PlainCarrier(far))
    again.link.attach(PlainCarrier(near))
    gateway.link.close("enough")
    open_pair.settle(20, again, gateway)
    assert gateway.link.status().state is State.CLOSING
    assert len(gateway.heard(Opened)) == len(again.heard(LaneLost)) == 1
    open_pair.settle()
    assert gateway.events[-1] == Closed()


def test_a_lane_that_breaks_while_sending_is_lost_once(pair, make_packet):
    class Breaking(PlainCarrier):
        broken = False

        def send(self, data):
            if self.broken:
                raise LaneLostError("broken pipe")
            return super().send(data)

    pair.join(Breaking)
    pair.laptop.link._lane.carrier.broken = True
    packets = [make_packet(b"one"), make_packet(b"two")]
    pair.laptop.emit(*packets)
    pair.settle(3)
    assert [str(event.error) for event in pair.laptop.heard(LaneLost)] == ["broken pipe"]
    assert pair.laptop.drops == {"no_lane": 2}


def test_a_lost_tun_is_told_once(open_pair):
    open_pair.laptop.kernel.close()
    open_pair.settle(5, open_pair.laptop)
    assert [type(event) for event in open_pair.laptop.heard(TunLost)] == [TunLost]


def test_a_tun_that_takes_nothing_costs_packets_and_no_more(open_pair, make_packet, monkeypatch):
    real = os.write

    def refuse(fd, data):
        if fd == open_pair.gateway.tun.fileno():
            raise OSError(errno.ENOBUFS, "no buffers")
        return real(fd, data)

    monkeypatch.setattr("kttun.link.tun.os.write", refuse)
    open_pair.laptop.emit(make_packet(b"lost"))
    open_pair.settle()
    assert open_pair.gateway.drops == {"tun_write": 1}
    assert open_pair.gateway.link.status().state is State.OPEN


def test_run_ends_when_another_thread_says_stop(open_pair):
    link = open_pair.laptop.link
    done = threading.Event()
    thread = threading.Thread(target=link.run)
    thread.start()
    link.loop.call_soon(done.set)
    assert done.wait(30)
    link.stop()
    thread.join(30)
    assert not thread.is_alive()
