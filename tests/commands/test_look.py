"""What the guided look makes of outputs: it says what it saw, and takes nothing for granted."""

import shlex
import sys

import pytest

from kttun.commands import look
from kttun.commands.console import Console
from kttun.commands.look import Amiss, Output

NETWORKS = {"pods": "10.1.0.0/18", "services": "10.2.0.0/18"}
ROUTES = "tunnel    10.1.0.7/32 pod p\ntunnel    10.2.0.0/18 answer to a dry run\nexcluded  10.9.0.0/16 own\n"


def output(text, code=0):
    return Output(text, code, 0.0125)


@pytest.fixture
def sight():
    return look._Sight(NETWORKS)


@pytest.mark.parametrize(
    ("step", "text", "code", "words"),
    [
        ("_page", "web-5db-x\n", 0, "web-5db-x"),
        ("_service", "10.2.0.9 STREAM web\n10.2.0.9 DGRAM\n", 0, "10.2.0.9 is of its Service range"),
        ("_headless", "10.1.0.7 STREAM w\n10.1.0.8 STREAM\n10.1.0.7 RAW\n", 0, "the 2 pods"),
        ("_echo", "64 bytes from 10.1.0.7: icmp_seq=1 ttl=62 time=1.21 ms\n", 0, "1.21 ms"),
        ("_datagram", "hello\n", 0, "came back"),
        ("_refused", "bash: connect: Connection refused\n", 1, "after 12 ms"),
        ("_routes", ROUTES, 0, "only these 2"),
        ("_status", "feature-1: open since x\n", 0, "is open"),
        ("_stats", "feature-1: open\n  tx  12  1\n  rx  9  1\n", 0, "12 packets out and 9 in"),
    ],
)
def test_what_holds_is_said_with_what_was_seen(sight, step, text, code, words):
    sight._pod = "10.1.0.7"
    assert words in getattr(sight, step)(output(text, code))


@pytest.mark.parametrize(
    ("step", "text", "code"),
    [
        ("_page", "", 6),
        ("_page", "<html>a proxy's page</html>\n", 0),
        ("_service", "", 2),
        ("_service", "192.0.2.9 STREAM web\n", 0),
        ("_service", "web STREAM 10.2.0.9\n", 0),
        ("_headless", "10.1.0.7 STREAM w\n10.1.0.7 RAW\n", 0),
        ("_echo", "1 packets transmitted, 0 received, 100% packet loss\n", 1),
        ("_datagram", "", 124),
        ("_refused", "bash: connect: Connection timed out\n", 1),
        ("_refused", "", 0),
        ("_routes", ROUTES.replace("10.2.0.0/18", "10.2.0.0/24"), 0),
        ("_routes", ROUTES.replace("10.1.0.7/32", "10.1.0.8/32"), 0),
        ("_status", "feature-1: resuming since x\n", 0),
        ("_stats", "feature-1: open\n  tx  12  1\n  rx  0  0\n", 0),
    ],
)
def test_what_does_not_hold_is_amiss(sight, step, text, code):
    sight._pod = "10.1.0.7"
    with pytest.raises(Amiss):
        getattr(sight, step)(output(text, code))


class Steps:
    """A look of one's own making, in the place of `_Sight`."""

    def __init__(self, *lines):
        self._lines = lines

    def __call__(self, _networks):
        return self

    def steps(self):
        for line in self._lines:
            yield look.Step(line, self._saw)

    @staticmethod
    def _saw(output):
        if output.code:
            raise Amiss(f"exit code {output.code}")
        return f"saw {output.text.strip()}"


def python(program):
    return f"{sys.executable} -c {shlex.quote(program)}"


@pytest.fixture
def shown(console, monkeypatch):
    """A function that looks by some lines, and gives what did not hold and what was printed."""

    def call(*lines):
        monkeypatch.setattr(look, "_Sight", Steps(*lines))
        view = Console(stream=console.stream)
        return look.look(view, NETWORKS), console.stream.getvalue()

    return call


def test_each_step_shows_its_command_its_output_and_what_was_seen(shown):
    line = python("import sys; print(3); print(4, file=sys.stderr, flush=True)")
    failed, text = shown(line)
    assert failed == []
    assert text.startswith(f"\n$ {line}\n")
    assert {"3", "4"} <= set(text.splitlines())


def test_a_step_that_fails_is_named_and_keeps_none_from_its_turn(shown):
    failing, fine = python("raise SystemExit(3)"), python("print('fine')")
    failed, text = shown(failing, fine)
    assert failed == [failing]
    assert "# this did not hold: exit code 3\n" in text
    assert text.endswith("fine\n# saw fine\n")


def test_a_program_that_is_not_installed_is_left_out_and_that_is_said(shown):
    assert shown("no-such-program-here -x") == ([], "\n# not installed here, so left out: no-such-program-here -x\n")


def test_a_command_that_does_not_end_is_ended(shown, monkeypatch):
    monkeypatch.setattr(look, "LONGEST_S", 0.05)
    line = python("import signal; signal.pause()")
    failed, text = shown(line)
    assert failed == [line]
    assert "(no end after 0.05 s)" in text
