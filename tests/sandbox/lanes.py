"""One lane of kttun, used by hand: send and receive whole texts, waiting for the socket in between."""

import select

import pytest

from kttun.link.carrier import LaneLostError
from kttun.protocol import HEADROOM

PATIENCE_S = 20


def send(carrier, data):
    record = bytearray(HEADROOM) + data
    rest = carrier.frame(record)
    while rest:
        n = carrier.send(rest)
        rest = rest[n:]
        if not n:
            assert select.select([], [carrier], [], PATIENCE_S)[1]


def receive(carrier, size):
    found, buffer = bytearray(), memoryview(bytearray(65536))
    while len(found) < size:
        n = carrier.receive_into(buffer)
        found += buffer[:n]
        if not n and not carrier.pending:
            assert select.select([carrier], [], [], PATIENCE_S)[0], f"{len(found)} of {size} bytes"
    return bytes(found)


def exchange(carrier, data):
    """Send and receive as many bytes at the same time; give what came. (A carrier belongs to one thread.)"""
    rest = carrier.frame(bytearray(HEADROOM) + data)
    found, buffer = bytearray(), memoryview(bytearray(65536))
    while rest or len(found) < len(data):
        sent = carrier.send(rest) if rest else 0
        rest = rest[sent:]
        n = carrier.receive_into(buffer)
        found += buffer[:n]
        if not n and not sent and not carrier.pending:
            assert any(select.select([carrier], [carrier] if rest else [], [], PATIENCE_S)), f"{len(found)} came"
    return bytes(found)


def end_of(carrier):
    with pytest.raises(LaneLostError) as lost:
        receive(carrier, 1)
    return lost.value.message


def echo(connection):
    with connection:
        while data := connection.recv(65536):
            connection.sendall(data)
