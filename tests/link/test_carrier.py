"""The plain carrier keeps the contract."""

import select
import socket

import pytest

from kttun.errors import TunnelError
from kttun.link.carrier import LaneLostError, PlainCarrier
from kttun.protocol import HEADROOM


@pytest.fixture
def ends():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        near = socket.create_connection(listener.getsockname())
        far, _ = listener.accept()
    carrier = PlainCarrier(near)
    yield carrier, far
    carrier.close()
    far.close()


def wait_readable(carrier):
    return bool(select.select([carrier.fileno()], [], [], 30)[0])


def test_a_record_goes_out_without_its_headroom(ends):
    carrier, far = ends
    framed = carrier.frame(bytearray(HEADROOM) + b"record")
    assert carrier.send(framed) == 6
    assert far.recv(100) == b"record"


def test_nothing_there_is_zero_and_not_the_end(ends):
    carrier, far = ends
    buffer = memoryview(bytearray(100))
    assert carrier.receive_into(buffer) == 0
    far.send(b"abc")
    assert wait_readable(carrier)
    assert carrier.receive_into(buffer) == 3
    assert buffer[:3] == b"abc"


def test_a_full_socket_takes_a_part_and_then_nothing(ends):
    carrier, far = ends
    block = memoryview(bytes(1 << 20))
    sent = 0
    while n := carrier.send(block):
        sent += n
    assert sent > 0
    received = 0
    while received < sent:
        received += len(far.recv(1 << 20))
    assert received == sent
    assert carrier.send(memoryview(b"")) == 0


def test_the_end_comes_after_the_last_bytes_and_is_a_tunnel_error(ends):
    carrier, far = ends
    far.send(b"last")
    far.close()
    buffer = memoryview(bytearray(100))
    assert wait_readable(carrier)
    assert carrier.receive_into(buffer) == 4
    assert wait_readable(carrier)
    with pytest.raises(LaneLostError, match="closed by the far end") as caught:
        carrier.receive_into(buffer)
    assert isinstance(caught.value, TunnelError)


def test_a_reset_is_a_lost_lane_in_both_directions(ends):
    carrier, far = ends
    far.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    far.close()
    assert wait_readable(carrier)
    with pytest.raises(LaneLostError, match="reset"):
        carrier.receive_into(memoryview(bytearray(1)))
    with pytest.raises(LaneLostError, match="Broken pipe"):
        carrier.send(memoryview(b"x"))


def test_expect_sets_the_low_water_mark_and_takes_it_back(ends):
    carrier, _ = ends
    for n in (5000, 5000, 1):
        carrier.expect(n)
        assert carrier._sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT) == n


def test_close_may_come_twice(ends):
    carrier, _ = ends
    carrier.close()
    carrier.close()
    assert carrier.fileno() == -1
