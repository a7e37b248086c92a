"""Parts of the cluster die while a program holds a TCP connection: the session resumes and the connection lives on."""

from __future__ import annotations

from contextlib import contextmanager

import pytest

from .lab import LAB, fault, pods
from .laptop import client_words
from .waiting import until

pytestmark = pytest.mark.cluster

SESSION = "faults"
BACK_S = 60


class Held:
    """A connection to the echo server of a pod; every number that came back is a line."""

    def __init__(self, process):
        self._process = process

    def passes(self, more):
        """Wait until so many more numbers have come back, one after the other."""
        first = self._next()
        for number in range(first + 1, first + more):
            assert self._next() == number

    def _next(self):
        line = self._process.stdout.readline()
        assert line, "the held connection broke"
        return int(line)


@contextmanager
def held_connection(dev):
    with dev.start(*client_words("hold", pods("ends")[0], 7007)) as process:
        held = Held(process)
        held.passes(3)
        yield held
        process.stdin.close()
        assert process.wait(30) == 0


@pytest.fixture
def session(dev):
    with dev.connected("feature-1", "--session", SESSION) as up:
        yield up


@pytest.mark.parametrize("component", ["apiserver", "kubelet", "containerd"])
def test_a_connection_survives_the_death_of(component, dev, session):
    with held_connection(dev) as held:
        fault("kill", component)
        until(lambda: dev.status(SESSION)["resumes"] == 1, BACK_S, f"resumed after the death of {component}")
        held.passes(10)
    assert "kttun: warning: tunnel lost" in str(session.stderr)
    assert "fell silent" not in str(session.stderr), "a death closes the connection, so nobody has to wait for silence"
    session.wait_for("tunnel is back", 0)
    assert dev.status(SESSION)["state"] == "open"


def test_a_connection_survives_an_api_server_that_falls_silent(dev, session):
    with held_connection(dev) as held:
        fault("stop", "apiserver")
        try:
            session.wait_for("tunnel lost: lane fell silent", BACK_S)
            assert dev.status(SESSION)["state"] == "resuming"
        finally:
            fault("cont", "apiserver")
        until(lambda: dev.status(SESSION)["resumes"] == 1, BACK_S, "resumed after the silence")
        held.passes(10)


def test_a_gateway_that_is_deleted_ends_the_session_with_one_error(dev, session):
    LAB.admin.delete("jobs", "feature-1", dev.status(SESSION)["gateway"]["job"])
    assert session.wait(60) == 5
    assert "kttun: the gateway ended the session" in str(session.stderr)
    assert "Traceback" not in str(session.stderr)
