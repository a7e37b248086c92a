import json
import os
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kttun.errors import InternalError
from kttun.host.channel import MAX_DESCRIPTORS, MAX_LINE, Channel, ChannelError, Message, Sender

SELF = Sender(os.getpid(), os.getuid())


@pytest.fixture
def ends():
    ours, theirs = Channel.pair()
    with Channel(ours, SELF) as helper, Channel(theirs) as worker:
        yield helper, worker


@pytest.fixture
def pipe():
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


def test_messages_arrive_in_order_and_then_the_end(ends):
    helper, worker = ends
    worker.send({"n": 1})
    worker.send({"n": 2})
    assert [helper.receive().parsed() for _ in range(2)] == [{"n": 1}, {"n": 2}]
    worker.close()
    assert helper.receive() is None


def test_descriptors_arrive_with_their_message_and_are_not_inherited(ends, pipe):
    helper, worker = ends
    helper.send({"a": 1}, pipe)
    message = worker.receive()
    assert len(message.descriptors) == 2
    assert not any(os.get_inheritable(descriptor) for descriptor in message.descriptors)
    os.write(message.descriptors[1], b"x")
    assert os.read(pipe[0], 1) == b"x"
    for descriptor in message.descriptors:
        os.close(descriptor)


def test_descriptors_that_nobody_takes_are_closed(ends, pipe):
    helper, worker = ends
    socket.send_fds(worker._socket, [b"no end of line"], [pipe[1]] * 3)
    before = len(list(Path("/proc/self/fd").iterdir()))
    worker._socket.shutdown(socket.SHUT_WR)
    assert helper.receive() is None
    helper.close()
    assert len(list(Path("/proc/self/fd").iterdir())) == before - 1


def test_too_many_descriptors_break_the_rules(ends, pipe):
    helper, worker = ends
    socket.send_fds(worker._socket, [b"{}\n"], [pipe[0]] * (MAX_DESCRIPTORS + 1))
    with pytest.raises(ChannelError, match="descriptors"):
        helper.receive()


def test_a_line_without_end_breaks_the_rules():
    ours, theirs = socket.socketpair()
    with Channel(ours) as helper, theirs:
        helper._pending += b"x" * (MAX_LINE + 1)
        with pytest.raises(ChannelError, match="4194304"):
            helper.receive()


def test_bytes_of_a_stranger_break_the_rules():
    ours, theirs = Channel.pair()
    with Channel(ours, Sender(os.getpid() + 1, os.getuid())) as helper, theirs:
        theirs.send(b"{}\n")
        with pytest.raises(ChannelError, match="not the worker"):
            helper.receive()


def test_bytes_of_a_child_of_the_worker_break_the_rules(ends):
    helper, worker = ends
    child = os.fork()
    if child == 0:
        os.write(worker.fileno(), b"{}\n")
        os._exit(0)
    os.waitpid(child, 0)
    with pytest.raises(ChannelError, match="not the worker"):
        helper.receive()


def test_a_message_that_is_too_long_is_our_bug(ends):
    with pytest.raises(InternalError, match="too long"):
        ends[0].send({"a": "x" * MAX_LINE})


@given(st.binary(max_size=300), st.integers(1, 40))
def test_any_bytes_cut_anywhere_are_lines_or_nothing(data, size):
    ours, theirs = socket.socketpair()
    with Channel(ours) as helper, theirs:
        for start in range(0, len(data), size):
            theirs.send(data[start : start + size])
        theirs.shutdown(socket.SHUT_WR)
        lines = []
        while message := helper.receive():
            lines.append(message.line)
    assert lines == data.split(b"\n")[:-1]


@given(st.binary())
def test_any_line_is_json_or_a_value_error(line):
    try:
        json.dumps(Message(line).parsed())
    except ValueError:
        return


def test_deep_nesting_is_a_value_error():
    with pytest.raises(ValueError, match="deeply"):
        Message(b"[" * 200_000).parsed()
