"""`kttun sandbox` without a sandbox; the real thing is in tests/netns/test_sandbox.py."""

import json
import os

import pytest

from kttun.commands import sandbox
from kttun.errors import EnvironmentFaultError, NoSuchSessionError, UsageError
from kttun.sandbox import lifecycle

STATE = {
    "pid": os.getpid(),
    "birth": lifecycle._birth(os.getpid()),
    "server": "https://10.213.0.2:6443",
    "networks": {"node": "10.213.0.0/29", "pods": "10.213.64.0/18", "services": "10.213.128.0/18"},
    "kubeconfigs": {"admin": "/run/kttun-sandbox/admin.kubeconfig"},
}


@pytest.fixture(autouse=True)
def state(monkeypatch, tmp_path):
    path = tmp_path / "state.json"
    monkeypatch.setattr(lifecycle, "STATE", path)
    return path


def test_no_sandbox_is_exit_code_three_for_people_and_scripts(run):
    with pytest.raises(NoSuchSessionError):
        run(sandbox, "sandbox status")
    assert run(sandbox, "sandbox status --json") == 3
    assert json.loads(run.out()) == {"schema": 1, "running": False}


def test_a_sandbox_that_runs_is_shown(run, state):
    state.write_text(json.dumps(STATE))
    assert run(sandbox, "sandbox status") == 0
    assert "https://10.213.0.2:6443" in run.out()
    assert run(sandbox, "sandbox status --json") == 0
    assert json.loads(run.out()) == {"schema": 1, "running": True, **STATE}


@pytest.mark.parametrize("text", ["", "{}", "nonsense", json.dumps(STATE | {"birth": "1"})])
def test_a_state_of_somebody_dead_is_no_sandbox(run, state, text):
    state.write_text(text)
    with pytest.raises(NoSuchSessionError):
        run(sandbox, "sandbox status")


@pytest.mark.parametrize("action", ["start", "stop"])
def test_root_is_needed_to_change_something(run, monkeypatch, action):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(EnvironmentFaultError, match="root is needed") as refused:
        run(sandbox, f"sandbox {action}")
    assert refused.value.hints == (f"sudo kttun sandbox {action}",)


@pytest.mark.parametrize("image", ["demo:1", "=sleep", "demo:1="])
def test_an_image_is_a_name_and_a_command(image):
    with pytest.raises(UsageError, match="is not NAME=COMMAND"):
        sandbox._image(image)


def test_an_images_command_is_split_as_a_shell_does():
    assert sandbox._image("demo:1=sh -c 'sleep 9'") == ("demo:1", ("sh", "-c", "sleep 9"))
