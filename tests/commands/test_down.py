"""`kttun down` may be called twice; what it could not end or remove is told."""

import os

import pytest

from kttun.commands import down
from kttun.errors import EnvironmentFaultError, RefusedError, TunnelError, UsageError
from kttun.host import leftovers
from kttun.host.leftovers import Leftover


@pytest.fixture(autouse=True)
def found(monkeypatch):
    """What dead sessions left; the machine is never asked."""
    things = []
    monkeypatch.setattr(leftovers, "find", lambda: tuple(things))
    return things


@pytest.fixture
def session(serve, runtime):
    """A function that starts a session which ends when it is asked to; gives the list of the ended ones."""
    ended = []

    def start(name):
        def end(_request):
            (runtime / f"{name}.sock").unlink()
            ended.append(name)
            return {"ending": True}

        serve(name, {"status": lambda _request: {}, "down": end})
        return ended

    return start


def refuse(_request):
    raise RefusedError("this session belongs to another user")


def test_the_only_session_is_ended(session, run):
    ended = session("shop")
    assert run(down, "down") == 0
    assert ended == ["shop"]
    assert run.said() == ["session shop ended"]
    assert run(down, "down") == 0
    assert run.said() == ["session shop ended"]


def test_a_named_session_is_ended_alone(session, run):
    session("shop")
    ended = session("bar")
    assert run(down, "down -s bar") == 0
    assert ended == ["bar"]


@pytest.mark.parametrize("line", ["down --all", "down --all -n bar"])
def test_all_means_all(session, run, line):
    session("shop")
    ended = session("bar")
    assert run(down, line) == 0
    assert ended == ["bar", "shop"]


def test_among_several_none_is_guessed(session, run):
    session("shop")
    ended = session("bar")
    with pytest.raises(UsageError, match="several sessions are running: bar, shop"):
        run(down, "down")
    assert ended == []


def test_dead_ones_and_those_of_others_do_not_count(session, dead, serve, run):
    dead("grave")
    serve("theirs", {"status": refuse, "down": refuse})
    ended = session("shop")
    assert run(down, "down") == 0
    assert ended == ["shop"]


def test_a_dead_session_that_is_named_is_no_error(dead, run):
    dead("grave")
    run.console.debug = True
    assert run(down, "down -s grave") == 0
    assert "session grave is dead" in run.said()[0]


def test_another_users_session_that_is_named_is_refused(serve, run):
    serve("theirs", {"down": refuse})
    with pytest.raises(RefusedError):
        run(down, "down -s theirs")


def test_it_waits_until_the_undo_is_done(serve, runtime, run, monkeypatch):
    path = runtime / "shop.sock"
    monkeypatch.setattr(down.time, "sleep", lambda _seconds: path.unlink())
    serve("shop", {"status": lambda _request: {}, "down": lambda _request: {}})
    assert run(down, "down") == 0
    assert run.said() == ["session shop ended"]


def test_a_session_that_does_not_end_is_told(serve, run, monkeypatch):
    monkeypatch.setattr(down, "END_S", -1)
    serve("shop", {"status": lambda _request: {}, "down": lambda _request: {}})
    with pytest.raises(TunnelError, match="session shop does not end"):
        run(down, "down")


def test_a_session_that_ends_while_it_answers_has_ended(serve, runtime, run):
    servers = []

    def vanish(_request):
        (runtime / "shop.sock").unlink()
        servers[0].close()
        return {}

    servers.append(serve("shop", {"status": lambda _request: {}, "down": vanish}))
    assert run(down, "down") == 0
    assert run.said() == ["session shop ended"]


def test_one_that_listens_and_does_not_answer_is_still_asked_to_end(session, run, monkeypatch):
    def hang(found, op):
        if op == "status":
            raise TunnelError("no answer")
        found.path.unlink()

    session("shop")
    monkeypatch.setattr(down.found_sessions()[0].__class__, "ask", hang)
    assert run(down, "down") == 0
    assert run.said() == ["session shop ended"]


def test_leftovers_are_removed_and_echoed(found, run, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    found.append(Leftover("rule", "IPv4 table 7", lambda echo: echo.did("ip rule del table 7")))
    assert run(down, "down") == 0
    assert run.said() == ["removed: ip rule del table 7"]


def test_leftovers_that_stay_are_an_error_behind_those_that_went(found, run, monkeypatch):
    def fail(_echo):
        raise EnvironmentFaultError("busy")

    monkeypatch.setattr(os, "geteuid", lambda: 0)
    found.append(Leftover("device", "kttun7", fail))
    found.append(Leftover("rule", "IPv4 table 7", lambda echo: echo.did("ip rule del table 7")))
    with pytest.raises(EnvironmentFaultError, match="could not be removed: device kttun7: busy"):
        run(down, "down")
    assert run.said() == ["removed: ip rule del table 7"]


def test_without_root_leftovers_are_only_told(found, run, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    found.append(Leftover("rule", "IPv4 table 7", lambda echo: echo.did("never")))
    assert run(down, "down") == 0
    assert run.said() == [
        "kttun: warning: a session that died left things on this machine",
        "hint: sudo kttun down removes them",
    ]
