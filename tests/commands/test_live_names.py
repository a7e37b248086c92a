"""Names in time, or none."""

import threading

from kttun.commands.live_names import LIVE_NAMES, in_time
from kttun.config import ClusterChoice
from kttun.errors import EnvironmentFaultError


def test_what_is_found_in_time_is_given():
    assert in_time(lambda: ["a", "b"]) == ["a", "b"]


def test_what_hangs_gives_nothing():
    for_ever = threading.Event()
    assert in_time(lambda: [str(for_ever.wait())], patience_s=0.01) == []
    for_ever.set()


def test_what_fails_gives_nothing():
    def fail():
        raise EnvironmentFaultError("no cluster")

    assert in_time(fail) == []


def test_sessions_are_those_whose_sockets_are_there(dead):
    dead("shop")
    dead("pay")
    assert LIVE_NAMES["session"](ClusterChoice()) == ["pay", "shop"]
