"""What a pod's status or an event means for somebody who waits: ready, still going on, or hopeless and why.

Pure functions over API objects (core/v1 Pod and Event). Reasons are the kubelet's (pkg/kubelet/images/types.go,
pkg/kubelet/kuberuntime) and the Job controller's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kttun.cluster.manifest import CONTAINER
from kttun.errors import EnvironmentFaultError

if TYPE_CHECKING:
    from kttun.config import GatewayChoice

_PULL_FAILED = frozenset(
    {
        "ErrImagePull",
        "ImagePullBackOff",
        "InvalidImageName",
        "ErrImageNeverPull",
        "ImageInspectError",
        "RegistryUnavailable",
    }
)
_CONTAINER_FAILED = frozenset({"CreateContainerConfigError", "CreateContainerError", "RunContainerError"})


@dataclass(frozen=True, slots=True)
class Ready:
    """The container runs; its log can be followed."""

    pod: str
    node: str


@dataclass(frozen=True, slots=True)
class Progress:
    """Not yet, and why."""

    text: str


Verdict = Ready | Progress | EnvironmentFaultError


def judge_pod(pod: dict[str, Any], choice: GatewayChoice) -> Verdict:
    """Read a gateway pod's status."""
    status = pod.get("status") or {}
    name = (pod.get("metadata") or {}).get("name") or ""
    for container in status.get("containerStatuses") or ():
        if container.get("name") != CONTAINER:  # a side car that was injected all the same
            continue
        state = container.get("state") or {}
        if "running" in state:
            return Ready(name, (pod.get("spec") or {}).get("nodeName") or "")
        if "terminated" in state:
            return _ended(state["terminated"] or {})
        verdict = _waiting(state.get("waiting") or {}, choice)
        if verdict:
            return verdict
    if status.get("phase") == "Failed":
        why = _text(status.get("message") or status.get("reason"))
        return EnvironmentFaultError(f"the gateway pod failed: {why}", "kttun up tries again with a new one")
    for condition in status.get("conditions") or ():
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            return Progress(f"not scheduled: {_text(condition.get('message') or condition.get('reason'))}")
    return Progress("the pod is starting")


def _ended(state: dict[str, Any]) -> EnvironmentFaultError:
    why = _text(state.get("message") or state.get("reason"))
    return EnvironmentFaultError(f"the gateway ended with exit code {state.get('exitCode')}: {why}")


def _waiting(state: dict[str, Any], choice: GatewayChoice) -> Verdict | None:
    reason, message = state.get("reason") or "", _line(state.get("message"))
    if reason in _PULL_FAILED:
        return EnvironmentFaultError(
            f"the cluster cannot pull the gateway image {choice.image}: {message or reason}",
            "scripts/build-image makes it; push it where the cluster can pull it and name it with --image",
            "a private registry needs --image-pull-secret",
        )
    if reason in _CONTAINER_FAILED:
        return EnvironmentFaultError(f"the gateway container cannot start: {message or reason}")
    return Progress(f"{reason}: {message}" if message else "the image is being pulled") if reason else None


def judge_event(event: dict[str, Any]) -> Verdict | None:
    """Read an event of the Job or its pod; None when it tells nothing to somebody who waits."""
    reason, message = event.get("reason") or "", _line(event.get("message"))
    if reason == "FailedCreate":
        return EnvironmentFaultError(f"the namespace refuses the gateway pod: {message}", *_refusal_hints(message))
    if event.get("type") == "Warning" and message:
        return Progress(f"{reason}: {message}")
    return None


def _text(text: str | None) -> str:
    return _line(text) or "no reason given"


def _line(text: str | None) -> str:
    """Make one line of what may be several: runtimes pass on whole traces."""
    return " ".join((text or "").split())


def _refusal_hints(message: str) -> tuple[str, ...]:
    if "PodSecurity" in message:
        return (
            "the kernel engine needs NET_ADMIN, which Pod Security admits at level privileged only",
            "an administrator can label the namespace pod-security.kubernetes.io/enforce=privileged",
        )
    if "exceeded quota" in message:
        return ("the gateway asks for 50m CPU and 64Mi memory; free some, or ask for more quota",)
    return ()
