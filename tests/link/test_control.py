"""The control socket as a conversation; who may speak is the kernel's word."""

import json
import os
import socket
import threading

import pytest

from kttun import errors
from kttun.link import control
from kttun.link.control import LONGEST_REQUEST, MOST_CONNECTIONS, ControlServer, ask


@pytest.fixture
def path(tmp_path):
    return tmp_path / "control"


def fail_kindly(_request):
    raise errors.RefusedError("Service web is held by kim", "ask kim to leave it")


@pytest.fixture
def server(path):
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(os.fspath(path))
    listener.listen(64)
    handlers = {
        "status": lambda request: {"asked": dict(request)},
        "refuse": fail_kindly,
        "bug": lambda _request: {}["no such key"],
    }
    made = ControlServer(listener, handlers, owner_uid=os.getuid())
    made.start()
    yield made
    made.close()


def converse(path, *lines):
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(30)
        client.connect(os.fspath(path))
        client.sendall(b"".join(lines))
        client.shutdown(socket.SHUT_WR)
        with client.makefile("rb") as replies:
            return [json.loads(reply) for reply in replies]


def test_a_request_reaches_its_handler_with_all_it_holds(server, path):
    assert ask(path, "status", 30, lane=3) == {"asked": {"op": "status", "lane": 3}}


def test_a_refusal_arrives_as_the_error_that_it_was(server, path):
    with pytest.raises(errors.RefusedError, match="held by kim") as caught:
        ask(path, "refuse", 30)
    assert caught.value.hints == ("ask kim to leave it",)


def test_a_bug_in_a_handler_is_told_and_the_session_lives_on(server, path):
    with pytest.raises(errors.InternalError, match="bug failed: KeyError"):
        ask(path, "bug", 30)
    assert ask(path, "status", 30)


def test_an_unknown_op_names_the_known_ones(server, path):
    with pytest.raises(errors.UsageError) as caught:
        ask(path, "fly", 30)
    assert caught.value.hints == ("known: status, refuse, bug",)


def test_a_connection_may_ask_many_times(server, path):
    replies = converse(path, b'{"op": "status"}\n' * 3)
    assert [reply["ok"] for reply in replies] == [True] * 3


@pytest.mark.parametrize(
    "line",
    [
        b"\n",
        b"nonsense\n",
        b"[]\n",
        b"{}\n",
        b'{"op": 7}\n',
        b"\xff\xfe\n",
        b"[" * 60_000 + b"\n",
        b'"op"\n',
        b"null\n",
    ],
)
def test_hostile_lines_get_an_error_and_the_next_one_an_answer(server, path, line):
    refused, answered = converse(path, line, b'{"op": "status"}\n')
    assert (refused["ok"], refused["exit_code"]) == (False, errors.UsageError.exit_code)
    assert answered["ok"]


@pytest.mark.parametrize("line", [b"x" * (LONGEST_REQUEST + 1), b'{"op": "status"}'])
def test_a_line_that_does_not_end_is_answered_and_ends_the_talk(server, path, line):
    (refused,) = converse(path, line)
    assert "one line" in refused["error"]


def test_another_user_is_refused(path):
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(os.fspath(path))
    listener.listen()
    server = ControlServer(listener, {"status": lambda _request: {}}, owner_uid=os.getuid())
    server._allowed = frozenset({os.getuid() + 1})
    server.start()
    with pytest.raises(errors.RefusedError, match="another user"):
        ask(path, "status", 30)
    server.close()


def test_root_and_the_owner_may_ask(path):
    with socket.socket(socket.AF_UNIX) as listener:
        assert ControlServer(listener, {}, owner_uid=1234)._allowed == {0, 1234}


def test_too_many_connections_are_turned_away_and_room_comes_back(server, path):
    clients = []
    for _ in range(MOST_CONNECTIONS):
        client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        client.settimeout(30)
        client.connect(os.fspath(path))
        client.sendall(b'{"op": "status"}\n')
        assert client.recv(1000)
        clients.append(client)
    with pytest.raises(errors.TunnelError):
        ask(path, "status", 30)
    threads = [thread for thread in threading.enumerate() if thread.name == "kttun-control"]
    for client in clients:
        client.close()
    for thread in threads:
        if thread is not server._thread:
            thread.join(30)
    assert ask(path, "status", 30)


def test_nobody_there_is_no_such_session(path, server):
    with pytest.raises(errors.NoSuchSessionError):
        ask(path.with_name("other"), "status", 30)
    server.close()
    server.close()
    with pytest.raises(errors.NoSuchSessionError):
        ask(path, "status", 30)


def test_close_cuts_those_who_still_talk(server, path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(30)
        client.connect(os.fspath(path))
        client.sendall(b'{"op": "status"}\n')
        assert client.recv(1000)
        server.close()
        assert client.recv(1000) == b""


@pytest.mark.parametrize("reply", [b"", b"nonsense\n", b"[]\n", b'{"ok": false}\n', b'{"ok": true, "result": 1}\n'])
def test_an_answer_that_is_none_is_a_tunnel_error(path, reply):
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(os.fspath(path))
        listener.listen()

        def answer():
            connection, _ = listener.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(reply)

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(errors.TunnelError):
            ask(path, "status", 30)
        thread.join()


def test_an_answer_that_does_not_come_in_time_is_a_tunnel_error(path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(os.fspath(path))
        listener.listen()
        with pytest.raises(errors.TunnelError, match="does not answer"):
            ask(path, "status", 0.01)


def test_an_unknown_exit_code_is_a_bug_of_ours(path):
    with pytest.raises(errors.InternalError):
        control._result(b'{"ok": false, "error": "e", "hints": [], "exit_code": 99}', path, "status")
