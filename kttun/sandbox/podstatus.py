"""A pod's status from what its containers do: pure, in the words of the kubelet (core/v1 PodStatus)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from kttun.sandbox.store import timestamp


@dataclass(slots=True)
class ContainerState:
    """What one container does; `state` is a ContainerState object of core/v1."""

    name: str
    image: str
    state: dict[str, Any] = field(default_factory=lambda: {"waiting": {"reason": "ContainerCreating"}})
    restarts: int = 0
    ready: bool = False
    done: bool = False
    """Whether it has ended and will not be started again."""


def terminated(code: int, message: str = "") -> dict[str, Any]:
    """Give the state of a container that has ended; with a message it never began."""
    reason = "StartError" if message else "Error" if code else "Completed"
    told = {"exitCode": code, "reason": reason, "finishedAt": timestamp()}
    return {"terminated": told | ({"message": message} if message else {})}


def phase(containers: list[ContainerState]) -> str:
    """Give the PodPhase (Kubernetes "Pod Lifecycle")."""
    if all(each.done for each in containers):
        failed = any(each.state["terminated"]["exitCode"] for each in containers)
        return "Failed" if failed else "Succeeded"
    return "Running" if all("waiting" not in each.state or each.restarts for each in containers) else "Pending"


def status(old: dict[str, Any], containers: list[ContainerState], **more: Any) -> dict[str, Any]:
    """Give the whole status; `old` is the one before, `more` what else is known (podIP...)."""
    made = {**old, **more, "phase": phase(containers), "containerStatuses": [_container(each) for each in containers]}
    ready = all(each.ready for each in containers)
    made["conditions"] = [
        {"type": "PodScheduled", "status": "True"},
        {"type": "Ready", "status": str(ready)},
    ]
    return made


def _container(each: ContainerState) -> dict[str, Any]:
    return {
        "name": each.name,
        "image": each.image,
        "ready": each.ready,
        "restartCount": each.restarts,
        "state": each.state,
    }
