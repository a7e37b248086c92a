"""Sessions that are real control sockets in a folder of the test's own, and a console that can be read."""

import io
import os
import socket

import pytest

from kttun.arguments import parse
from kttun.commands import sessions
from kttun.commands.console import Console
from kttun.link.control import ControlServer


@pytest.fixture
def console():
    """A console without colour; `console.stream.getvalue()` is what it said."""
    return Console(stream=io.StringIO())


@pytest.fixture
def options():
    """A function from a command line to parsed options."""
    return lambda line: parse(line.split())


class Runner:
    """Runs a command as `cli` does: call it with the command's module and a command line."""

    def __init__(self, console, capsys):
        self.console = console
        self._capsys = capsys

    def __call__(self, command, line):
        return command.run(parse(line.split()), self.console)

    def out(self):
        """Give what was printed since the last call."""
        return self._capsys.readouterr().out

    def said(self):
        """Give all lines that people were told."""
        return self.console.stream.getvalue().splitlines()


@pytest.fixture
def run(console, capsys, runtime):
    return Runner(console, capsys)


@pytest.fixture
def runtime(tmp_path, monkeypatch):
    folder = tmp_path / "run"
    folder.mkdir()
    monkeypatch.setattr(sessions, "RUNTIME", folder)
    return folder


@pytest.fixture
def serve(runtime):
    """A function that starts a session of a name; `handlers` as `ControlServer` takes them."""
    servers = []

    def start(name, handlers):
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(os.fspath(runtime / f"{name}.sock"))
        listener.listen()
        servers.append(ControlServer(listener, handlers, owner_uid=os.getuid()))
        servers[-1].start()
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def dead(runtime):
    """A function that leaves the socket of a dead session."""

    def leave(name):
        with socket.socket(socket.AF_UNIX) as gone:
            gone.bind(os.fspath(runtime / f"{name}.sock"))

    return leave
