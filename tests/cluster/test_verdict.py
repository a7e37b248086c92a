"""What a pod's status and an event mean to somebody who waits: tables of what clusters really say."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kttun.cluster.verdict import Progress, Ready, judge_event, judge_pod
from kttun.config import GatewayChoice
from kttun.errors import EnvironmentFaultError

CHOICE = GatewayChoice(image="registry.example/gateway:1")


def pod(*, containers=None, **status):
    if containers is not None:
        status["containerStatuses"] = containers
    return {"metadata": {"name": "gw-1"}, "spec": {"nodeName": "n1"}, "status": status}


def ours(name="gateway", **state):
    return [{"name": name, "state": state}]


def waiting(reason, message=None):
    return pod(containers=ours(waiting={"reason": reason, **({"message": message} if message else {})}))


def unscheduled(**condition):
    return pod(
        conditions=[{"type": "Ready", "status": "False"}, {"type": "PodScheduled", "status": "False", **condition}]
    )


@pytest.mark.parametrize(
    ("found", "text"),
    [
        ({}, "the pod is starting"),
        ({"status": None}, "the pod is starting"),
        (pod(), "the pod is starting"),
        (pod(phase="Pending", conditions=[{"type": "PodScheduled", "status": "True"}]), "the pod is starting"),
        (pod(containers=[]), "the pod is starting"),
        (pod(containers=ours()), "the pod is starting"),
        (pod(containers=ours(waiting={})), "the pod is starting"),
        (pod(containers=ours("istio-proxy", running={})), "the pod is starting"),
        (pod(containers=ours("istio-proxy", terminated={"exitCode": 1})), "the pod is starting"),
        (unscheduled(message="0/3 nodes are available:\n 3 Insufficient cpu."), None),
        (unscheduled(reason="SchedulingGated"), "not scheduled: SchedulingGated"),
        (unscheduled(), "not scheduled: no reason given"),
        (waiting("ContainerCreating"), "the image is being pulled"),
        (waiting("PodInitializing", "waiting for init"), "PodInitializing: waiting for init"),
    ],
)
def test_what_may_still_become_ready_is_progress(found, text):
    expected = text or "not scheduled: 0/3 nodes are available: 3 Insufficient cpu."
    assert judge_pod(found, CHOICE) == Progress(expected)


def test_a_container_that_runs_is_ready():
    assert judge_pod(pod(containers=ours(running={"startedAt": "now"})), CHOICE) == Ready("gw-1", "n1")


def test_a_side_car_does_not_speak_for_the_gateway():
    both = ours("istio-proxy", waiting={"reason": "ErrImagePull"}) + ours(running={})
    assert judge_pod(pod(containers=both), CHOICE) == Ready("gw-1", "n1")


@pytest.mark.parametrize(
    "reason",
    [
        "ErrImagePull",
        "ImagePullBackOff",
        "InvalidImageName",
        "ErrImageNeverPull",
        "ImageInspectError",
        "RegistryUnavailable",
    ],
)
@pytest.mark.parametrize(("message", "why"), [("manifest unknown", "manifest unknown"), (None, "")])
def test_an_image_that_cannot_be_pulled_names_the_image_and_the_ways_out(reason, message, why):
    error = judge_pod(waiting(reason, message), CHOICE)
    assert isinstance(error, EnvironmentFaultError)
    assert error.message == f"the cluster cannot pull the gateway image {CHOICE.image}: {why or reason}"
    assert any(hint.endswith("--image") for hint in error.hints)
    assert any("--image-pull-secret" in hint for hint in error.hints)


@pytest.mark.parametrize("reason", ["CreateContainerConfigError", "CreateContainerError", "RunContainerError"])
def test_a_container_that_cannot_start_is_hopeless(reason):
    error = judge_pod(waiting(reason, 'secret "x"\nnot found'), CHOICE)
    assert isinstance(error, EnvironmentFaultError)
    assert error.message == 'the gateway container cannot start: secret "x" not found'


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ({"exitCode": 2, "reason": "Error"}, "exit code 2: Error"),
        ({"exitCode": 137, "reason": "OOMKilled"}, "exit code 137: OOMKilled"),
        (
            {"exitCode": 128, "reason": "StartError", "message": 'exec: "python":\n not found\n'},
            'exec: "python": not found',
        ),
        ({"exitCode": 0, "reason": "Completed"}, "exit code 0: Completed"),
        ({}, "exit code None: no reason given"),
    ],
)
def test_a_container_that_ended_is_hopeless(state, words):
    error = judge_pod(pod(containers=ours(terminated=state)), CHOICE)
    assert isinstance(error, EnvironmentFaultError)
    assert words in error.message
    assert "\n" not in error.message


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ({"reason": "Evicted", "message": "The node was low on memory"}, "The node was low on memory"),
        ({"reason": "NodeAffinity"}, "NodeAffinity"),
        ({}, "no reason given"),
    ],
)
def test_a_pod_that_failed_is_hopeless(status, words):
    error = judge_pod(pod(phase="Failed", **status), CHOICE)
    assert isinstance(error, EnvironmentFaultError)
    assert error.message == f"the gateway pod failed: {words}"


@pytest.mark.parametrize(
    ("message", "hint"),
    [
        ('pods "x" is forbidden: violates PodSecurity "restricted:latest": runAsNonRoot', "Pod Security"),
        ('pods "x" is forbidden: exceeded quota: q, requested: cpu=50m', "50m CPU"),
        ('admission webhook "policy.example" denied the request', None),
    ],
)
def test_a_pod_that_is_not_admitted_is_hopeless_with_the_clusters_own_words(message, hint):
    error = judge_event({"type": "Warning", "reason": "FailedCreate", "message": f"Error creating: {message}\n"})
    assert isinstance(error, EnvironmentFaultError)
    assert error.message == f"the namespace refuses the gateway pod: Error creating: {message}"
    assert (hint is None) == (not error.hints)
    assert hint is None or hint in error.hints[0]


@pytest.mark.parametrize(
    ("event", "verdict"),
    [
        ({"type": "Warning", "reason": "FailedMount", "message": " a\n b "}, Progress("FailedMount: a b")),
        ({"type": "Warning", "reason": "BackOff", "message": None}, None),
        ({"type": "Warning", "message": "something"}, Progress(": something")),
        ({"type": "Normal", "reason": "Pulling", "message": "Pulling image"}, None),
        ({}, None),
    ],
)
def test_other_events_are_progress_when_they_warn(event, verdict):
    assert judge_event(event) == verdict


scalars = st.none() | st.text(max_size=5)
states = st.dictionaries(
    st.sampled_from(["waiting", "running", "terminated"]),
    st.none() | st.dictionaries(st.sampled_from(["reason", "message", "exitCode"]), scalars),
    max_size=2,
)
containers = st.fixed_dictionaries(
    {"name": st.sampled_from(["gateway", "other"])}, optional={"state": st.none() | states}
)
statuses = st.fixed_dictionaries(
    {},
    optional={
        "phase": st.sampled_from(["Pending", "Running", "Succeeded", "Failed", "Unknown"]),
        "message": scalars,
        "reason": scalars,
        "containerStatuses": st.none() | st.lists(containers, max_size=3),
        "conditions": st.none()
        | st.lists(st.dictionaries(st.sampled_from(["type", "status", "reason", "message"]), scalars), max_size=2),
    },
)


@given(st.fixed_dictionaries({}, optional={"status": st.none() | statuses, "metadata": st.none(), "spec": st.none()}))
def test_every_status_has_a_verdict(found):
    assert isinstance(judge_pod(found, CHOICE), Ready | Progress | EnvironmentFaultError)
