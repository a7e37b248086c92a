"""Bare acknowledgements wait for company, a moment at most, and never keep anything else waiting."""

from kttun.link.lane import ENOUGH, PATIENCE_S

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


def test_bare_acks_leave_when_enough_was_received(open_pair, make_packet):
    emit_and_turn(open_pair, ACK)
    before = sent(open_pair)
    for _ in range(ENOUGH // 50_000 + 1):
        open_pair.gateway.emit(make_packet(bytes(50_000), source=POD, destination=LAPTOP))
        for end in (open_pair.gateway, open_pair.laptop) * 3:
            end.turn()
    assert sent(open_pair) == before + 1


def test_what_waits_for_patience_does_not_spin_the_loop_while_the_socket_is_full(open_pair, make_packet):
    for _ in range(40):
        emit_and_turn(open_pair, make_packet(bytes(60_000)))
    emit_and_turn(open_pair, ACK)
    open_pair.now += 2 * PATIENCE_S
    assert open_pair.laptop.link.turn_ends() > 0
