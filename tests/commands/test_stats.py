"""`kttun stats` as people and scripts read it, over sessions that are real control sockets."""

import itertools
import json

import pytest

from kttun.commands import stats
from kttun.errors import NoSuchSessionError, UsageError

LANE = {
    "index": 0,
    "state": "open",
    "carrier": "spdy",
    "rtt_ms": 1.5,
    "in_flight": 10,
    "limit": 131072,
    "queued": 0,
}
DROPS = {"queue_full": 3, "malformed": 0}
TOTALS = {"tx_packets": 10, "tx_bytes": 1000, "rx_packets": 20, "rx_bytes": 4000}


def answer(times=1):
    counted = {name: count * times for name, count in TOTALS.items()}
    return {"state": "open", "lanes": [LANE], "counters": {**counted, "drops": DROPS}}


class Clock:
    """Seconds that pass only while `kttun stats` waits."""

    def __init__(self):
        self.now = 1000.0

    def monotonic(self):
        return self.now

    def time(self):
        return self.now + 0.5

    def sleep(self, seconds):
        self.now += seconds


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr(stats, "time", made)
    return made


@pytest.fixture
def session(serve, clock):
    """A session whose counters grow by TOTALS with each question."""
    asked = itertools.count(1)
    serve("shop", {"status": lambda _request: answer(next(asked))})


def test_the_first_answer_comes_at_once_and_has_no_rates(session, run, clock):
    assert run(stats, "stats") == 0
    assert clock.now == 1000.0
    assert [" ".join(line.split()) for line in run.out().splitlines()] == [
        "shop: open",
        "packets bytes packets/s bytes/s",
        "tx 10 1000 - -",
        "rx 20 4000 - -",
        "lane 0 open, spdy, round trip 1.5 ms, 10 of 131072 bytes in flight, 0 queued",
        "drop queue_full 3 -",
        "drop malformed 0 -",
    ]


def test_rates_are_what_was_counted_between_two_questions(session, run, clock):
    assert run(stats, "stats --interval 2s --count 2") == 0
    assert clock.now == 1002.0
    second = [line.split() for line in run.out().split("\n\n")[1].splitlines()]
    assert second[0] == ["shop:", "open,", "rates", "over", "2.0", "s"]
    assert second[2:4] == [["tx", "20", "2000", "5.0", "500.0"], ["rx", "40", "8000", "10.0", "2000.0"]]
    assert second[5] == ["drop", "queue_full", "3", "0.0"]


def test_a_slow_answer_makes_no_longer_interval(serve, run, clock):
    def slow(_request):
        clock.now += 0.75
        return answer()

    serve("shop", {"status": slow})
    assert run(stats, "stats --interval 1 --count 3 --json") == 0
    assert [json.loads(line)["over_s"] for line in run.out().splitlines()] == [None, 1.0, 1.0]


def test_scripts_read_one_object_a_line(session, run):
    assert run(stats, "stats --json --count 2") == 0
    first, second = map(json.loads, run.out().splitlines())
    assert first == {
        "schema": 1,
        "session": "shop",
        "state": "open",
        "at": 1000.5,
        "over_s": None,
        "totals": {name: {"count": count, "per_s": None} for name, count in TOTALS.items()},
        "lanes": [LANE],
        "drops": {name: {"count": count, "per_s": None} for name, count in DROPS.items()},
    }
    assert second["totals"]["rx_bytes"] == {"count": 8000, "per_s": 4000.0}
    assert second["drops"]["queue_full"] == {"count": 3, "per_s": 0.0}


def test_rows_are_tab_separated_and_say_what_they_are(session, run):
    assert run(stats, "stats --tsv --count 2") == 0
    lines = run.out().splitlines()
    assert lines[0] == "\t".join(("total", "shop", "1000.500", "10", "1000", "20", "4000", *["(none)"] * 4))
    assert lines[1] == "lane\tshop\t1000.500\t0\topen\tspdy\t1.5\t10\t131072\t0"
    assert lines[2] == "drop\tshop\t1000.500\tqueue_full\t3\t(none)"
    assert lines[4].split("\t")[-4:] == ["10.0", "1000.0", "20.0", "4000.0"]


@pytest.mark.parametrize(("by", "kinds"), [("lane", {"lane"}), ("drop", {"drop"})])
def test_one_part_is_shown_alone_in_every_form(session, run, by, kinds):
    assert run(stats, f"stats --by {by} --tsv") == 0
    assert {line.split("\t")[0] for line in run.out().splitlines()} == kinds
    assert run(stats, f"stats --by {by} --json") == 0
    shown = set(json.loads(run.out())) & {"totals", "lanes", "drops"}
    assert shown == {f"{by}s"}
    assert run(stats, f"stats --by {by}") == 0
    assert {line.split()[0] for line in run.out().splitlines()[1:]} == kinds


def test_without_a_count_it_goes_on_until_the_session_ends(serve, run, clock):
    answers = iter([answer(), answer(2)])

    def ask(_request):
        try:
            return next(answers)
        except StopIteration:
            raise NoSuchSessionError("it has ended") from None

    serve("shop", {"status": ask})
    with pytest.raises(NoSuchSessionError):
        run(stats, "stats --interval 1 --json")
    assert len(run.out().splitlines()) == 2


def test_a_lane_between_two_carriers_has_no_none_in_it(serve, run, clock):
    lane = {**LANE, "state": "resuming", "carrier": None, "rtt_ms": None}
    serve("shop", {"status": lambda _request: {**answer(), "lanes": [lane]}})
    assert run(stats, "stats --by lane") == 0
    assert "resuming, no carrier, round trip -," in run.out()
    assert run(stats, "stats --by lane --tsv") == 0
    assert run.out().split("\t")[5:7] == ["(none)", "(none)"]


def test_no_session_is_code_3(run):
    with pytest.raises(NoSuchSessionError):
        run(stats, "stats")


@pytest.mark.parametrize("words", ["--json --tsv", "--count 0", "--count x", "--interval 0", "--by flow"])
def test_what_makes_no_sense_is_refused(run, words):
    with pytest.raises(UsageError):
        run(stats, f"stats {words}")
