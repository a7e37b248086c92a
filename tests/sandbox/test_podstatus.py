"""A pod's status from what its containers do."""

import pytest

from kttun.sandbox.podstatus import ContainerState, phase, status, terminated

RUNNING, WAITING = {"running": {}}, {"waiting": {"reason": "ContainerCreating"}}


def container(state, name="main", **more):
    return ContainerState(name, "demo:1", state=state, **more)


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ([WAITING], "Pending"),
        ([RUNNING], "Running"),
        ([RUNNING, WAITING], "Pending"),
        ([terminated(0)], "Succeeded"),
        ([terminated(1)], "Failed"),
        ([terminated(0), terminated(137)], "Failed"),
        ([terminated(1), RUNNING], "Running"),
    ],
)
def test_the_phase_is_that_of_all_containers_together(states, expected):
    containers = [container(state, done="terminated" in state) for state in states]
    assert phase(containers) == expected


def conditions(found):
    return {each["type"]: each["status"] for each in found["conditions"]}


def test_a_pod_is_ready_when_all_its_containers_are():
    containers = [container(RUNNING, ready=True), container(RUNNING, name="side")]
    found = status({}, containers, podIP="10.244.0.2")
    assert (conditions(found)["Ready"], found["podIP"]) == ("False", "10.244.0.2")
    containers[1].ready = True
    assert conditions(status(found, containers))["Ready"] == "True"


@pytest.mark.parametrize(
    ("code", "message", "reason"), [(0, "", "Completed"), (3, "", "Error"), (128, "no such file", "StartError")]
)
def test_an_end_is_told_in_the_kubelets_words(code, message, reason):
    found = terminated(code, message)["terminated"]
    assert (found["reason"], found["exitCode"], found.get("message", "")) == (reason, code, message)
