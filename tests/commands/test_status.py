"""`kttun status` as people and scripts read it; what a session cannot say is told beside it."""

import json
import threading

import pytest

from kttun.commands import sessions, status
from kttun.errors import NoSuchSessionError, RefusedError

ANSWER = {
    "name": "shop",
    "state": "open",
    "since": "2026-01-01T00:00:00+00:00",
    "namespace": "shop",
    "context": "lab",
    "server": "https://192.0.2.1:6443",
    "interface": "kttun0",
    "addresses": ["198.18.0.1", "fd6b:7474:756e::1"],
    "engine": "kernel",
    "engine_reason": "NET_ADMIN is admitted",
    "gateway": {"job": "kttun-shop-x", "pod": "kttun-shop-x-y", "node": "n1"},
    "lanes": [{"index": 0, "state": "open", "carrier": "spdy", "rtt_ms": 1.5, "in_flight": 0}],
    "rtt_ms": 1.5,
    "last_echo_s": 0.25,
    "resumes": 2,
    "routes": 3,
    "routes_mode": "networks",
    "dns": {"mode": "resolved", "domains": ["shop.svc.cluster.local", "svc"]},
    "intercepts": [],
    "counters": {
        "tx_packets": 1,
        "tx_bytes": 60,
        "rx_packets": 2,
        "rx_bytes": 120,
        "drops": {"queue_full": 3, "malformed": 0, "no_lane": 1},
    },
}
TEXT = """\
shop: open since 2026-01-01T00:00:00+00:00, resumed 2 times
  namespace  shop at https://192.0.2.1:6443 (context lab)
  interface  kttun0 198.18.0.1 fd6b:7474:756e::1
  gateway    kttun-shop-x-y on n1, engine kernel
  lane       spdy, round trip 1.5 ms, last heard 0.25 s ago
  routes     3 (networks)
  names      resolved shop.svc.cluster.local svc
  sent       1 packets, 60 bytes
  received   2 packets, 120 bytes
  dropped    queue_full 3, no_lane 1
"""


@pytest.fixture
def open_session(serve):
    serve("shop", {"status": lambda _request: ANSWER})


def test_people_read_one_block_a_session(open_session, run):
    assert run(status, "status") == 0
    assert run.out() == TEXT
    assert run.said() == []


def test_scripts_read_one_object(open_session, run):
    assert run(status, "status --json") == 0
    assert json.loads(run.out()) == {"schema": 1, "sessions": [ANSWER]}


def test_what_is_not_there_yet_is_no_none(serve, run):
    lane = {**ANSWER["lanes"][0], "carrier": None, "rtt_ms": None}
    counters = {**ANSWER["counters"], "drops": {"queue_full": 0}}
    answer = {**ANSWER, "state": "resuming", "lanes": [lane], "rtt_ms": None, "counters": counters}
    serve("shop", {"status": lambda _request: {**answer, "dns": {"mode": "off", "domains": []}}})
    assert run(status, "status") == 0
    lines = run.out().splitlines()
    assert lines[4] == "  lane       none, round trip -, last heard 0.25 s ago"
    assert lines[6] == "  names      off"
    assert lines[9] == "  dropped    none"


def test_blocks_are_parted_by_an_empty_line(open_session, serve, run):
    serve("bar", {"status": lambda _request: {**ANSWER, "name": "bar"}})
    assert run(status, "status") == 0
    assert run.out() == TEXT.replace("shop: open", "bar: open") + "\n" + TEXT


def test_a_named_session_is_shown_alone(open_session, serve, run):
    serve("bar", {})
    assert run(status, "status -s shop") == 0
    assert run.out() == TEXT


@pytest.mark.parametrize(("line", "words"), [("status", "no session is running"), ("status -s x", "no session x is")])
def test_nothing_to_show_is_code_3(run, line, words):
    with pytest.raises(NoSuchSessionError, match=words):
        run(status, line)
    assert run.out() == ""


def test_scripts_get_an_empty_list_and_code_3(run):
    assert run(status, "status --json") == 3
    assert json.loads(run.out()) == {"schema": 1, "sessions": []}


def refuse(_request):
    raise RefusedError("this session belongs to another user")


def test_sessions_that_cannot_answer_hide_no_other(open_session, serve, dead, run):
    dead("grave")
    serve("theirs", {"status": refuse})
    serve("hung", {"status": lambda _request: 1 / 0})
    assert run(status, "status") == 0
    assert run.out() == TEXT
    assert run.said() == [
        "kttun: warning: session grave is dead",
        "hint: sudo kttun down removes what it left",
        "kttun: warning: session hung: status failed: ZeroDivisionError: division by zero",
        "kttun: warning: session theirs: this session belongs to another user",
    ]


def test_a_session_that_hangs_is_no_dead_one(serve, run, monkeypatch):
    gate = threading.Event()
    monkeypatch.setattr(sessions, "ANSWER_S", 0.01)
    serve("shop", {"status": lambda _request: gate.wait(60) and {}})
    with pytest.raises(NoSuchSessionError):
        run(status, "status")
    gate.set()
    assert "does not answer status" in run.said()[0]
