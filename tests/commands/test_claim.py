"""Whose a sandbox and a session are: a killed demo's are ended, anybody else's are refused; tried with real locks."""

import json
import os
import threading

import pytest

from kttun.commands import claim, down
from kttun.commands.claim import Mark
from kttun.errors import RefusedError
from kttun.sandbox import lifecycle
from kttun.sandbox.lifecycle import Running

SERVER = "https://10.213.0.2:6443"
OURS = Running(41, {"birth": "7", "server": SERVER})


class Machine:
    """The sandbox of this machine, if there is one, and what was done to it."""

    def __init__(self):
        self.sandbox = None
        self.stopped = 0

    def running(self):
        return self.sandbox

    def stop(self):
        self.sandbox = None
        self.stopped += 1
        return []


@pytest.fixture(autouse=True)
def machine(monkeypatch, tmp_path, runtime):
    made = Machine()
    monkeypatch.setattr(claim, "MARK", tmp_path / "mark")
    monkeypatch.setattr(lifecycle, "STATE", tmp_path / "state.json")
    monkeypatch.setattr(lifecycle, "running", made.running)
    monkeypatch.setattr(lifecycle, "stop", made.stop)
    monkeypatch.setattr(down, "remove_leftovers", lambda _console: None)
    return made


@pytest.fixture
def killed():
    """A function that leaves the mark of a demo that was killed."""

    def leave(mark):
        text = {"sandbox": mark.sandbox, "server": mark.server}
        claim.MARK.write_text(json.dumps(text))

    return leave


@pytest.fixture
def sessions(serve, runtime):
    """A function that starts a session to a server; it ends when it is asked to."""

    def start(name, server):
        def end(_request):
            (runtime / f"{name}.sock").unlink()
            return {"ending": True}

        serve(name, {"status": lambda _request: {"server": server}, "down": end})

    return start


def held(console):
    """Say whether the machine can be had."""
    with claim.claim(console):
        assert claim.MARK.exists()
    return not claim.MARK.exists()


def test_a_free_machine_is_had_and_given_back(console, machine):
    assert held(console)
    assert machine.stopped == 0
    assert console.stream.getvalue() == ""


def test_a_sandbox_that_is_not_marked_is_refused_and_stays(console, machine):
    machine.sandbox = OURS
    with pytest.raises(RefusedError, match="a sandbox is running"):
        held(console)
    assert (machine.sandbox, claim.MARK.exists()) == (OURS, False)


def test_a_session_that_is_not_marked_is_refused_and_stays(console, sessions, runtime):
    sessions("shop", "https://192.0.2.1")
    with pytest.raises(RefusedError, match="session shop is running"):
        held(console)
    assert (runtime / "shop.sock").exists()


def test_dead_sessions_are_in_nobodys_way(console, dead):
    dead("shop")
    assert held(console)


def test_what_a_killed_demo_left_is_ended(console, machine, sessions, killed, runtime):
    machine.sandbox = OURS
    sessions("feature-1", SERVER)
    killed(Mark.of(OURS))
    assert held(console)
    assert (machine.stopped, list(runtime.iterdir())) == (1, [])


def test_a_session_whose_sandbox_was_killed_as_well_is_ended(console, sessions, killed, runtime):
    sessions("feature-1", SERVER)
    killed(Mark.of(OURS))
    assert held(console)
    assert list(runtime.iterdir()) == []


def test_another_sandbox_than_the_killed_demos_is_refused(console, machine, killed):
    machine.sandbox = Running(41, {"birth": "8", "server": "https://10.87.0.2:6443"})
    killed(Mark.of(OURS))
    with pytest.raises(RefusedError):
        held(console)
    assert machine.stopped == 0


@pytest.mark.parametrize(("later_s", "ours"), [(1, True), (3600, False), (-1, False)])
def test_a_demo_that_was_killed_while_it_started_one_is_known_by_the_time(console, machine, killed, later_s, ours):
    machine.sandbox = OURS
    killed(Mark())
    lifecycle.STATE.touch()
    made = claim.MARK.stat().st_mtime
    os.utime(lifecycle.STATE, (made + later_s, made + later_s))
    if ours:
        assert held(console)
    else:
        with pytest.raises(RefusedError):
            held(console)
    assert machine.stopped == int(ours)


@pytest.mark.parametrize("text", ["nonsense", "{}", "[]", '{"sandbox": 3, "server": null}'])
def test_a_mark_that_cannot_be_read_is_one_that_names_nothing(console, machine, text):
    claim.MARK.write_text(text)
    assert held(console)
    assert machine.stopped == 1


def test_a_demo_that_does_not_end_is_refused(console, monkeypatch):
    monkeypatch.setattr(claim, "PATIENCE_S", 0.0)
    with claim.claim(console), pytest.raises(RefusedError, match="another demo is running"):
        held(console)
    assert not claim.MARK.exists()


def test_a_demo_that_ends_is_waited_for(console):
    there, waiting = threading.Event(), threading.Event()

    def other():
        with claim.claim(console):
            there.set()
            assert waiting.wait(60)

    thread = threading.Thread(target=other)
    thread.start()
    assert there.wait(60)
    console.say = lambda _text: waiting.set()
    assert held(console)
    thread.join()
