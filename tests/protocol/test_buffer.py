import pytest

from kttun.protocol.buffer import CAPACITY, ROOM, ReceiveBuffer
from kttun.protocol.errors import LocalProtocolError


def fill(buffer: ReceiveBuffer, data: bytes) -> None:
    buffer.room()[: len(data)] = data
    buffer.received(len(data))


def test_bytes_come_out_as_they_went_in():
    buffer = ReceiveBuffer()
    fill(buffer, b"abc")
    fill(buffer, b"defg")
    assert len(buffer) == 7
    assert buffer.take(5) == b"abcde"
    assert buffer.take(2) == b"fg"
    assert len(buffer) == 0


def test_an_emptied_buffer_begins_at_its_front_again():
    buffer = ReceiveBuffer()
    fill(buffer, bytes(1000))
    buffer.consume(1000)
    assert len(buffer.room()) == CAPACITY


def test_waiting_bytes_move_to_the_front_when_room_gets_short():
    buffer = ReceiveBuffer()
    fill(buffer, bytes(CAPACITY - ROOM + 1) + b"waiting")
    buffer.consume(CAPACITY - ROOM + 1)
    assert len(buffer.room()) == CAPACITY - len(b"waiting")
    assert buffer.take(7) == b"waiting"


def test_an_overlapping_move_keeps_every_byte():
    buffer = ReceiveBuffer()
    waiting = bytes(i % 251 for i in range(CAPACITY - ROOM))
    fill(buffer, b"x" + waiting)
    buffer.consume(1)
    assert len(buffer.room()) == ROOM
    assert buffer.take(len(waiting)) == waiting


def test_a_buffer_full_of_unused_bytes_has_no_room():
    buffer = ReceiveBuffer()
    fill(buffer, bytes(CAPACITY - ROOM + 1))
    with pytest.raises(LocalProtocolError, match="ask for more"):
        buffer.room()


@pytest.mark.parametrize("n", [-1, CAPACITY + 1])
def test_more_than_the_room_cannot_have_been_received(n):
    with pytest.raises(LocalProtocolError, match="cannot have been received"):
        ReceiveBuffer().received(n)
