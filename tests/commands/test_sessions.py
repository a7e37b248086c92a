"""Sessions are found by their sockets; which one is meant is never guessed among several."""

import os

import pytest

from kttun.commands import sessions
from kttun.commands.sessions import Found, found_sessions, the_session
from kttun.errors import NoSuchSessionError, RefusedError, UsageError


@pytest.fixture
def three(serve):
    for name in ("web", "db", "cache"):
        serve(name, {"status": lambda _request, name=name: {"name": name}})


def test_without_a_runtime_directory_there_is_no_session(tmp_path, monkeypatch):
    monkeypatch.setattr(sessions, "RUNTIME", tmp_path / "missing")
    assert found_sessions() == []


def test_sessions_come_in_order_and_other_files_are_none(three, runtime):
    (runtime / "lock").touch()
    assert found_sessions() == [Found(name, runtime / f"{name}.sock") for name in ("cache", "db", "web")]
    assert found_sessions("db") == [Found("db", runtime / "db.sock")]
    assert found_sessions("nobody") == []


@pytest.mark.parametrize("line", ["status -s db", "status -n db", "status -s db -n web"])
def test_the_session_is_the_one_that_is_named(three, options, line):
    assert the_session(options(line)).ask("status") == {"name": "db"}


def test_the_only_session_needs_no_name(serve, options):
    serve("web", {})
    assert the_session(options("status")).name == "web"


def test_among_several_none_is_guessed(three, options):
    with pytest.raises(UsageError, match="several sessions are running: cache, db, web") as caught:
        the_session(options("status"))
    assert caught.value.hints == ("name one with --session",)


@pytest.mark.parametrize(("line", "words"), [("status", "no session is running"), ("status -s x", "no session x")])
def test_no_session_is_said_as_it_was_asked(runtime, options, line, words):
    with pytest.raises(NoSuchSessionError, match=words):
        the_session(options(line))


def test_a_dead_session_answers_nothing(dead, options):
    dead("web")
    with pytest.raises(NoSuchSessionError):
        the_session(options("status")).ask("status")


def test_another_users_session_is_no_dead_one(three, options, monkeypatch):
    monkeypatch.setattr(os, "access", lambda _path, mode: mode != os.W_OK)
    with pytest.raises(RefusedError, match="session db belongs to another user"):
        the_session(options("status -s db")).ask("status")
