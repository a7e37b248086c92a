"""A pod's status from what its containers do: pure, in the words of the kubelet (core/v1 PodStatus)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from kttun.sandbox.store import timestamp


@dataclass(slots=True)
class ContainerState:
    """What one container does; `state` and `last` are ContainerState objects of core/v1."""

    name: str
    image: str
    state: dict[str, Any] = field(default_factory=lambda: {"waiting": {"reason": "ContainerCreating"}})
    last: dict[str, Any] = field(default_factory=dict)
    restarts: int = 0
    ready: bool = False
    done: bool = False
    """Whether it has ended and will not be started again."""


def waiting(reason: str, message: str) -> dict[str, Any]:
    """Give the state of a container that is not there yet."""
    return {"waiting": {"reason": reason, "message": message}}


def terminated(code: int, signal: int, started: str, message: str = "") -> dict[str, Any]:
    """Give the state of a container that has ended; with a message it never began."""
    reason = "StartError" if message else "Error" if code else "Completed"
    told = {"exitCode": code, "reason": reason, "startedAt": started, "finishedAt": timestamp()}
    return {"terminated": told | ({"signal": signal} if signal else {}) | ({"message": message} if message else {})}


def phase(containers: list[ContainerState]) -> str:
    """Give the PodPhase (Kubernetes "Pod Lifecycle")."""
    if all(each.done for each in containers):
        failed = any(each.state["terminated"]["exitCode"] for each in containers)
        return "Failed" if failed else "Succeeded"
    began = all("waiting" not in each.state or each.restarts or each.last for each in containers)
    return "Running" if began else "Pending"


def status(old: dict[str, Any], containers: list[ContainerState], **more: Any) -> dict[str, Any]:
    """Give the whole status; `old` is the one before, `more` what else is known (podIP...)."""
    ready = all(each.ready for each in containers)
    unready = " ".join(each.name for each in containers if not each.ready)
    now = phase(containers)
    why = {} if ready else {"reason": "ContainersNotReady", "message": f"containers with unready status: [{unready}]"}
    if now == "Succeeded":
        why = {"reason": "PodCompleted"}
    made = {**old, **more, "phase": now, "containerStatuses": [_container(each) for each in containers]}
    made["conditions"] = [
        _condition(old, kind, "True" if holds else "False", **({} if holds else why))
        for kind, holds in (
            ("PodReadyToStartContainers", bool(made.get("podIP"))),
            ("Initialized", True),
            ("Ready", ready),
            ("ContainersReady", ready),
            ("PodScheduled", True),
        )
    ]
    return made


def _condition(old: dict[str, Any], kind: str, value: str, **why: str) -> dict[str, Any]:
    """Give a condition whose time of change is kept when it has not changed."""
    before: dict[str, Any] = next((each for each in old.get("conditions") or () if each["type"] == kind), {})
    since = before.get("lastTransitionTime") if before.get("status") == value else None
    return {"type": kind, "status": value, "lastProbeTime": None, "lastTransitionTime": since or timestamp(), **why}


def _container(each: ContainerState) -> dict[str, Any]:
    running = "running" in each.state
    return {
        "name": each.name,
        "image": each.image,
        "imageID": f"sandbox://{each.image}" if "waiting" not in each.state else "",
        "ready": each.ready,
        "started": running,
        "restartCount": each.restarts,
        "state": each.state,
        "lastState": each.last,
    }
