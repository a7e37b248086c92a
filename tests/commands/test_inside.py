"""One real command with a session under it; whichever ends first ends the other."""

import os
import queue
import signal
import subprocess
import sys

import pytest

from kttun.commands.inside import run_inside
from kttun.commands.interrupts import Interrupted, interrupts
from kttun.errors import EnvironmentFaultError, TunnelError


class FakeSession:
    """The two ends of a session's outcome."""

    def __init__(self):
        self.outcomes = queue.SimpleQueue()
        self.finish = self.outcomes.put

    def wait(self):
        outcome = self.outcomes.get(timeout=60)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


@pytest.fixture(autouse=True)
def handler():
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, each in before.items():
        signal.signal(number, each)


@pytest.mark.parametrize(
    ("command", "code"), [("exit 0", 0), ("exit 42", 42), ("kill -TERM $$", 143), ("kill -KILL $$", 137)]
)
def test_the_commands_exit_code_is_ours(command, code):
    assert run_inside(["sh", "-c", command], FakeSession()) == code


@pytest.mark.parametrize("command", ["/no/such/program", os.devnull])
def test_a_command_that_cannot_start_is_told(command):
    with pytest.raises(EnvironmentFaultError, match=f"cannot run {command}: "):
        run_inside([command], FakeSession())


def test_a_session_that_is_lost_ends_the_command(tmp_path):
    session = FakeSession()
    session.finish(TunnelError("lost"))
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    # The write end is open as long as the command lives; its end of file is the proof that it is gone.
    command = f"import signal; stream = open({str(fifo)!r}, 'w'); print('up', file=stream, flush=True); signal.pause()"
    with pytest.raises(TunnelError, match="lost"):
        run_inside([sys.executable, "-c", command], session)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    os.set_blocking(reader, True)
    with os.fdopen(reader) as stream:
        assert stream.read() in {"", "up\n"}


def test_ctrl_c_is_the_commands_and_not_ours():
    code = run_inside(["sh", "-c", f"kill -INT {os.getpid()}; kill -INT $$; exit 1"], FakeSession())
    assert code == 130


def test_a_signal_that_comes_while_the_command_is_started_ends_the_command(monkeypatch):
    started = []

    def popen(command, *, really=subprocess.Popen):
        signal.raise_signal(signal.SIGTERM)
        started.append(really(command))
        return started[0]

    monkeypatch.setattr(subprocess, "Popen", popen)
    with pytest.raises(Interrupted), interrupts() as signals:
        run_inside(["sleep", "60"], FakeSession(), signals.held_back)
    assert started[0].wait(10) == -signal.SIGTERM
