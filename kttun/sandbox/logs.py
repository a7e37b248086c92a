"""The log of a pod's container, as text (core/v1 PodLogOptions: container, follow, tailLines)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kttun.sandbox.status import bad_request
from kttun.sandbox.target import flag, number

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from kttun.sandbox.kubelet import Kubelet


def read_log(kubelet: Kubelet, pod: dict[str, Any], query: Mapping[str, str]) -> AsyncIterator[bytes]:
    """Give the log in pieces. Raises `StatusError` 400 when there is no such container, or it has not run yet."""
    container = _container(pod, query.get("container", ""))
    return kubelet.logs(pod, container, follow=flag(query, "follow"), tail=number(query, "tailLines"))


def _container(pod: dict[str, Any], wanted: str) -> str:
    name = pod["metadata"]["name"]
    names = [container["name"] for container in pod["spec"]["containers"]]
    if not wanted and len(names) > 1:
        choices = " ".join(names)
        raise bad_request(f"a container name must be specified for pod {name}, choose one of: [{choices}]")
    wanted = wanted or names[0]
    if wanted not in names:
        raise bad_request(f"container {wanted} is not valid for pod {name}")
    states = (pod.get("status") or {}).get("containerStatuses") or ()
    state: dict[str, Any] = next((one.get("state") or {} for one in states if one["name"] == wanted), {"waiting": {}})
    if "waiting" in state:
        why = state["waiting"].get("reason") or "ContainerCreating"
        raise bad_request(f'container "{wanted}" in pod "{name}" is waiting to start: {why}')
    return wanted
