"""Bare acknowledgements wait for company, a moment at most, and never keep anything else waiting."""

from kttun.link.lane import BUSY, BUSY_PATIENCE_S, LARGEST_RECORD, PATIENCE_S
from kttun.protocol.credit import DEFAULT_WINDOW

from .conftest import LAPTOP, POD

ACK = bytes(10) + b"\x45\0\0\x28" + bytes(5) + b"\x06\0\0" + LAPTOP + POD + bytes(12) + b"\x50\x10" + bytes(6)


def sent(pair):
    return pair.laptop.link.counters.tx_records


def emit_and_turn(pair, packet):
    pair.laptop.emit(packet)
    pair.laptop.turn()
    pair.laptop.turn()


def test_a_bare_ack_leaves_when_its_patience_ends(open_pair):
    before = sent(open_pair)
    emit_and_turn(open_pair, ACK)
    assert sent(open_pair) == before
    assert open_pair.laptop.link.turn_ends() <= PATIENCE_S
    open_pair.now += 2 * PATIENCE_S
    open_pair.laptop.turn()
    assert sent(open_pair) == before + 1
    open_pair.settle()
    assert open_pair.gateway.got() == [ACK]


def test_bare_acks_leave_at_once_and_in_order_with_anything_else(open_pair, make_packet):
    data = make_packet(b"data")
    before = sent(open_pair)
    emit_and_turn(open_pair, ACK)
    emit_and_turn(open_pair, data)
    assert sent(open_pair) == before + 1
    open_pair.settle()
    assert sorted(open_pair.gateway.got()) == sorted([ACK, data])


def download(pair, make_packet, size):
    """Let the laptop receive so many bytes, in packets of 30 KB, and answer them by one bare acknowledgement."""
    for _ in range(-(-size // 30_000)):
        pair.gateway.emit(make_packet(bytes(30_000), source=POD, destination=LAPTOP))
        for end in (pair.gateway, pair.laptop) * 3:
            end.turn()
    pair.laptop.emit(ACK)
    pair.laptop.turn()


def test_under_a_download_bare_acks_wait_longer(open_pair, make_packet):
    before = sent(open_pair)
    download(open_pair, make_packet, BUSY)
    open_pair.now += 2 * PATIENCE_S
    open_pair.laptop.turn()
    assert sent(open_pair) == before
    open_pair.now += BUSY_PATIENCE_S
    open_pair.laptop.turn()
    assert sent(open_pair) == before + 1


def test_under_a_download_bare_acks_leave_with_the_credit_of_a_quarter_window(open_pair, make_packet):
    before = sent(open_pair)
    emit_and_turn(open_pair, ACK)
    download(open_pair, make_packet, DEFAULT_WINDOW // 4)
    assert sent(open_pair) == before + 1


def test_what_waits_for_patience_does_not_spin_the_loop_while_the_socket_is_full(open_pair, make_packet):
    for _ in range(40):
        emit_and_turn(open_pair, make_packet(bytes(60_000)))
    emit_and_turn(open_pair, ACK)
    open_pair.now += 2 * PATIENCE_S
    assert open_pair.laptop.link.turn_ends() > 0


def test_a_record_holds_its_fill_of_the_smallest_packets(open_pair):
    smallest = bytes(10) + b"\x45\0\0\x14" + bytes(5) + b"\xfd\0\0" + LAPTOP + POD
    number = LARGEST_RECORD // len(smallest) + 1
    link = open_pair.laptop.link
    link._lane.limiter.limit = 8 * LARGEST_RECORD
    before = sent(open_pair)
    for _ in range(number):
        link.queues.put(smallest[19:], smallest, is_tcp=False)
    open_pair.laptop.turn()
    assert sent(open_pair) == before + 2
    open_pair.settle()
    assert open_pair.gateway.got() == [smallest] * number
