"""A pod's status from what its containers do."""

import pytest

from kttun.sandbox.podstatus import ContainerState, phase, status, terminated, waiting

RUNNING = {"running": {"startedAt": "2026-01-01T00:00:00Z"}}


def container(state, name="main", **more):
    return ContainerState(name, "demo:1", state=state, **more)


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ([waiting("ContainerCreating", "")], "Pending"),
        ([RUNNING], "Running"),
        ([RUNNING, waiting("ContainerCreating", "")], "Pending"),
        ([waiting("CrashLoopBackOff", "")], "Running"),
        ([terminated(0, 0, "")], "Succeeded"),
        ([terminated(1, 0, "")], "Failed"),
        ([terminated(0, 0, ""), terminated(137, 9, "")], "Failed"),
        ([terminated(1, 0, ""), RUNNING], "Running"),
    ],
)
def test_the_phase_is_that_of_all_containers_together(states, expected):
    restarts = {"CrashLoopBackOff": 1}
    containers = [
        container(state, done="terminated" in state, restarts=restarts.get(state.get("waiting", {}).get("reason"), 0))
        for state in states
    ]
    assert phase(containers) == expected


def conditions(found):
    return {each["type"]: each["status"] for each in found["conditions"]}


def test_a_pod_is_ready_when_all_its_containers_are():
    containers = [container(RUNNING, ready=True), container(RUNNING, name="side")]
    found = status({}, containers, podIP="10.244.0.2")
    (ready,) = [each for each in found["conditions"] if each["type"] == "Ready"]
    assert (ready["status"], ready["message"]) == ("False", "containers with unready status: [side]")
    containers[1].ready = True
    assert conditions(status(found, containers))["Ready"] == "True"


def test_a_condition_keeps_the_time_of_its_last_change():
    before = {"conditions": [{"type": "Initialized", "status": "True", "lastTransitionTime": "2020-01-01T00:00:00Z"}]}
    found = status(before, [container(RUNNING)])
    times = {each["type"]: each["lastTransitionTime"] for each in found["conditions"]}
    assert times["Initialized"] == "2020-01-01T00:00:00Z"
    assert times["Ready"] > "2020-01-01T00:00:00Z"


@pytest.mark.parametrize(
    ("code", "signal", "message", "reason"),
    [(0, 0, "", "Completed"), (3, 0, "", "Error"), (137, 9, "", "Error"), (128, 0, "no such file", "StartError")],
)
def test_an_end_is_told_in_the_kubelets_words(code, signal, message, reason):
    found = terminated(code, signal, "2020-01-01T00:00:00Z", message)["terminated"]
    assert (found["reason"], found["exitCode"], found.get("signal", 0)) == (reason, code, signal)
