"""What people see, byte for byte; time is told, and so it is cut out here."""

import io
import re

import pytest

from kttun.commands.console import Console
from kttun.errors import RefusedError


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def terminal(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    return Terminal()


def say_everything(console):
    with console.step("tunnel") as step:
        step.outcome = "spdy"
    with console.step("names"):
        pass
    with pytest.raises(ValueError, match="no"), console.step("routes"):
        raise ValueError("no")
    console.say("connected")
    console.act("ip link set dev kttun0 up")
    console.detail("found 3 pods")
    console.warn("10.0.0.0/8 overlaps", "exclude it")
    console.fail(RefusedError("held by kim", "ask kim", "or wait"))
    return re.sub(r"\d+\.\d+ s", "N s", console.stream.getvalue())


def test_a_plain_run_shows_steps_words_warnings_and_errors():
    assert say_everything(Console(stream=io.StringIO())) == (
        "+ tunnel     spdy (N s)\n"
        "+ names      done (N s)\n"
        "x routes     failed\n"
        "connected\n"
        "kttun: warning: 10.0.0.0/8 overlaps\n"
        "hint: exclude it\n"
        "kttun: held by kim\n"
        "hint: ask kim\n"
        "hint: or wait\n"
    )


def test_a_quiet_run_shows_only_warnings_and_errors():
    assert say_everything(Console(quiet=True, stream=io.StringIO())).splitlines() == [
        "kttun: warning: 10.0.0.0/8 overlaps",
        "hint: exclude it",
        "kttun: held by kim",
        "hint: ask kim",
        "hint: or wait",
    ]


def test_a_debug_run_stamps_each_line_and_shows_acts_and_details():
    lines = say_everything(Console(debug=True, stream=io.StringIO())).splitlines()
    assert all(re.match(r" *\d+\.\d{3} ", line) for line in lines)
    assert [line for line in lines if "# ip link set dev kttun0 up" in line or "  found 3 pods" in line] == lines[4:6]


def test_on_a_terminal_signs_are_coloured_and_say_the_same(terminal):
    coloured = say_everything(Console(stream=terminal))
    assert "\x1b[32m+\x1b[0m tunnel" in coloured
    assert "\x1b[31mx\x1b[0m routes" in coloured
    assert "\x1b[33mkttun: warning:\x1b[0m 10" in coloured
    assert "\x1b[31mkttun:\x1b[0m held" in coloured
    assert re.sub(r"\x1b\[\d*m", "", coloured) == say_everything(Console(stream=io.StringIO()))


@pytest.mark.parametrize(
    ("color", "environment", "is_coloured"),
    [
        ("auto", {}, True),
        ("auto", {"NO_COLOR": "1"}, False),
        ("auto", {"NO_COLOR": ""}, True),
        ("auto", {"TERM": "dumb"}, False),
        ("always", {"NO_COLOR": "1"}, True),
        ("never", {}, False),
    ],
)
def test_colour_is_the_users_choice(terminal, monkeypatch, color, environment, is_coloured):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    bold = Console(color=color, stream=terminal).bold("connected")
    assert bold == ("\x1b[1mconnected\x1b[0m" if is_coloured else "connected")


@pytest.mark.parametrize(("color", "is_coloured"), [("auto", False), ("always", True), ("never", False)])
def test_a_file_gets_colour_only_when_it_is_asked_for(color, is_coloured):
    assert ("\x1b" in Console(color=color, stream=io.StringIO()).bold("x")) == is_coloured


def test_finished_steps_are_timed_in_their_order_and_failed_ones_are_not():
    console = Console(stream=io.StringIO())
    say_everything(console)
    assert list(console.timings) == ["tunnel", "names"]
    assert all(seconds >= 0 for seconds in console.timings.values())


class Gone(io.StringIO):
    def flush(self):
        raise OSError("the terminal is gone")


@pytest.mark.parametrize("stream", [Gone(), io.StringIO()])
def test_a_terminal_that_is_gone_stops_no_work(stream):
    if not isinstance(stream, Gone):
        stream.close()
    console = Console(stream=stream)
    console.say("into the void")
    with console.step("undo") as step:
        step.outcome = "goes on"
    assert list(console.timings) == ["undo"]


def test_without_a_stream_people_are_told_on_stderr(capsys):
    Console().say("hello")
    assert capsys.readouterr() == ("", "hello\n")
