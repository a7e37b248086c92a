"""However a session ends, and whenever: the laptop is as it was before, and the namespace soon is too."""

from __future__ import annotations

import signal

import pytest

from .lab import objects, ours, wait_until_gone
from .laptop import snapshot
from .running import STARTED
from .waiting import until

pytestmark = pytest.mark.cluster

STARTING = "starting"
STEPS = ["kubeconfig", "rights", "discovery", "device", STARTING, "gateway", "tunnel", "routes", "names", STARTED]
NAMESPACE = "feature-1"
SHORT = ("--linger", "5s")
"""How long a gateway waits whose laptop was killed; the default is a minute, and one test keeps to it."""
WORKER_KILLED = 5
KILLED = 128 + signal.SIGKILL


def reach(up, step, session):
    """Wait until `up` has done a step, or until the gateway's Job is there and its pod is not ready."""
    if step == STARTING:
        until(lambda: ours(NAMESPACE, session), 30, "a Job")
    else:
        up.wait_for(step if step == STARTED else f"+ {step} ")


def session_name(*words):
    return "-".join(word.replace(" ", "-").lower() for word in words)


def assert_deleted(session):
    """The session has deleted its Job before it ended; what belonged to the Job follows it."""
    assert not [each for each in ours(NAMESPACE, session) if each.startswith("Job/")]
    wait_until_gone(NAMESPACE, session)


@pytest.fixture
def before():
    return snapshot()


def test_the_snapshot_sees_what_a_session_changes(dev, before):
    with dev.connected(NAMESPACE, "--session", "seen"):
        during = snapshot()
    changed = {section for section in before if before[section] != during[section]}
    assert changed == {"rules", "routes", "links", "addresses", "resolv.conf", "processes", "sockets"}
    assert snapshot() == before


@pytest.mark.lingers
@pytest.mark.parametrize("step", STEPS)
def test_a_killed_worker_leaves_the_laptop_as_it_was(step, dev, before):
    name = session_name("worker", step)
    with dev.up(NAMESPACE, "--session", name, *SHORT) as up:
        reach(up, step, name)
        up.worker.kill(signal.SIGKILL)
        assert up.wait() == WORKER_KILLED
    assert "kttun: the worker died (SIGKILL), everything undone" in str(up.stderr)
    assert snapshot() == before


@pytest.mark.lingers
@pytest.mark.parametrize("step", STEPS)
def test_a_killed_helper_leaves_what_down_removes(step, dev, before):
    name = session_name("helper", step)
    with dev.up(NAMESPACE, "--session", name, *SHORT) as up:
        reach(up, step, name)
        worker = up.worker
        up.helper.kill(signal.SIGKILL)
        assert up.wait() == KILLED
        until(lambda: not worker.alive, 30, "a worker without a helper ends by itself")
    assert dev.kttun("down", sudo=True).returncode == 0
    assert snapshot() == before


@pytest.mark.lingers
def test_both_killed_at_once_leave_what_down_removes(dev, before):
    with dev.up(NAMESPACE, "--session", "both-killed") as up:
        up.wait_for(STARTED)
        for process in (up.worker, up.helper):
            process.kill(signal.SIGKILL)
        assert up.wait() == KILLED
    assert dev.kttun("down", sudo=True).returncode == 0
    assert snapshot() == before


@pytest.mark.parametrize("step", STEPS)
def test_ctrl_c_undoes_everything(step, dev, before):
    name = session_name("ctrl-c", step)
    there = objects(NAMESPACE, name)
    with dev.up(NAMESPACE, "--session", name, terminal=True) as up:
        reach(up, step, name)
        up.ctrl_c()
        assert up.wait() == 128 + signal.SIGINT
    assert snapshot() == before
    assert_deleted(name)
    assert objects(NAMESPACE, name) == there


@pytest.mark.parametrize("step", STEPS)
def test_sigterm_undoes_everything(step, dev, before):
    name = session_name("sigterm", step)
    with dev.up(NAMESPACE, "--session", name) as up:
        reach(up, step, name)
        up.terminate()
        assert up.wait() == 128 + signal.SIGTERM
    assert snapshot() == before
    assert_deleted(name)


@pytest.mark.parametrize("step", STEPS)
def test_a_closed_terminal_undoes_everything(step, dev, before):
    name = session_name("sighup", step)
    with dev.up(NAMESPACE, "--session", name, terminal=True) as up:
        reach(up, step, name)
        helper, worker = up.helper, up.worker
        up.hang_up()
        assert up.wait() == 128 + signal.SIGHUP
        until(lambda: not helper.alive and not worker.alive, 30, "helper and worker end")
    assert snapshot() == before
    assert_deleted(name)


def test_impatient_ctrl_c_does_not_break_the_undo(dev, before):
    with dev.up(NAMESPACE, "--session", "impatient", terminal=True) as up:
        up.wait_for(STARTED)
        for _ in range(5):
            up.ctrl_c()
        assert up.wait() == 128 + signal.SIGINT
    assert snapshot() == before
    assert "Traceback" not in str(up.stderr)
    assert_deleted("impatient")


def test_ctrl_c_of_root_without_sudo_undoes_everything(admin, before):
    with admin.up(NAMESPACE, "--session", "root-ctrl-c", terminal=True) as up:
        up.wait_for(STARTED)
        up.ctrl_c()
        assert up.wait() == 128 + signal.SIGINT
    assert snapshot() == before
    assert_deleted("root-ctrl-c")


@pytest.mark.waits
def test_within_two_minutes_of_the_last_kill_nothing_of_any_session_is_left():
    wait_until_gone(NAMESPACE)
