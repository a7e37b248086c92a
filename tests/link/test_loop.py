"""The loop calls what is ready, forgets what it is told to, and wakes up for other threads."""

import os
import select
import threading

import pytest

from kttun.link.loop import READABLE, WRITABLE, Loop


@pytest.fixture
def loop():
    made = Loop()
    yield made
    made.close()


@pytest.fixture
def pipe():
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


def test_a_reader_is_called_while_there_is_something_to_read(loop, pipe):
    calls = []
    loop.add_reader(pipe[0], lambda: calls.append(os.read(pipe[0], 1)))
    loop.turn(0)
    assert calls == []
    os.write(pipe[1], b"ab")
    loop.turn(0)
    loop.turn(0)
    loop.turn(0)
    assert calls == [b"a", b"b"]


def test_the_mask_says_what_is_ready_and_may_change(loop, pipe):
    masks = []
    loop.watch(pipe[1], masks.append, WRITABLE)
    loop.turn(0)
    loop.watch(pipe[1], masks.append, READABLE)
    loop.turn(0)
    assert masks == [select.EPOLLOUT]


def test_what_was_forgotten_in_this_turn_is_not_called(loop):
    pipes = [os.pipe() for _ in range(2)]
    called = []

    def forget_all(index):
        called.append(index)
        for read, _ in pipes:
            loop.forget(read)
            loop.forget(read)

    for index, (read, write) in enumerate(pipes):
        os.write(write, b"x")
        loop.watch(read, lambda _mask, index=index: forget_all(index))
    loop.turn(0)
    loop.turn(0)
    assert len(called) == 1
    for ends in pipes:
        for end in ends:
            os.close(end)


def test_calls_from_another_thread_wake_the_loop_and_keep_their_order(loop):
    called = []

    def other():
        loop.call_soon(lambda: called.append(1))
        loop.call_soon(lambda: called.append(2))
        loop.stop()

    threading.Thread(target=other).start()
    loop.run(lambda: None)
    assert called == [1, 2]


def test_a_call_that_asks_for_another_waits_for_the_next_turn(loop):
    called = []
    loop.call_soon(lambda: (called.append(1), loop.call_soon(lambda: called.append(2))))
    loop.turn(0)
    assert called == [1]
    loop.turn(0)
    assert called == [1, 2]


def test_an_error_of_a_call_leaves_run_and_the_others_are_kept(loop):
    called = []

    def fail():
        raise ValueError("ours")

    loop.call_soon(fail)
    loop.call_soon(lambda: called.append(1))
    with pytest.raises(ValueError, match="ours"):
        loop.run(lambda: None)
    loop.call_soon(loop.stop)
    loop.run(lambda: None)
    assert called == [1]


def test_a_stop_before_run_is_not_lost(loop):
    loop.stop()
    loop.run(lambda: None)


def test_after_close_calls_do_nothing(loop):
    loop.close()
    loop.call_soon(lambda: None)
    loop.stop()
    loop.close()
