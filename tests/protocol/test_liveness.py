import math

from kttun.protocol.liveness import Liveness


def test_the_first_ping_is_due_at_once_and_there_is_one_at_a_time():
    liveness = Liveness(5.0, now=1.0)
    assert liveness.due_at == 1.0
    liveness.ping(1.0)
    assert liveness.due_at == math.inf


def test_a_pong_gives_the_round_trip_and_the_next_ping_is_a_heartbeat_later():
    liveness = Liveness(5.0, now=1.0)
    number = liveness.ping(1.5)
    assert liveness.take_pong(number, 1.75) == 0.25
    assert liveness.rtt == 0.25
    assert liveness.due_at == 6.75


def test_a_pong_that_answers_nothing_changes_nothing():
    liveness = Liveness(5.0, now=1.0)
    assert liveness.take_pong(0, 1.0) is None
    number = liveness.ping(1.0)
    assert liveness.take_pong(number + 1, 2.0) is None
    assert liveness.take_pong(number, 2.0) == 1.0
    assert liveness.take_pong(number, 3.0) is None
    assert liveness.rtt == 1.0


def test_a_ping_is_answered_at_once_and_a_flood_with_one_pong():
    liveness = Liveness(5.0, now=1.0)
    liveness.ping(1.0)
    liveness.take_ping(7, 2.0)
    liveness.take_ping(8, 3.0)
    assert liveness.due_at == 2.0
    assert liveness.pong() == 8
    assert liveness.due_at == math.inf
