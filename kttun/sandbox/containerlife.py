"""One container of a pod: its image, its runs and its readiness (Kubernetes "Pod Lifecycle")."""

from __future__ import annotations

import asyncio
import os
import signal
import uuid
from typing import TYPE_CHECKING, Any

from kttun.sandbox.container import ContainerSpec
from kttun.sandbox.cri import StartError
from kttun.sandbox.events import warn
from kttun.sandbox.images import NoSuchImageError, environment
from kttun.sandbox.journal import Journal
from kttun.sandbox.kinds import PODS
from kttun.sandbox.podstatus import ContainerState, terminated
from kttun.sandbox.probe import until_ready
from kttun.sandbox.security import rights

if TYPE_CHECKING:
    from kttun.sandbox.podlife import Ground, PodLife

RESTART_S = 1.0
"""How long a container that has ended waits to be started again; a kubelet waits longer each time."""


class ContainerLife:
    """One container, run by `run` until it has ended for good; `journal` is of its last run."""

    def __init__(self, pod: PodLife, ground: Ground, spec: dict[str, Any]) -> None:
        self._pod, self._ground, self.spec = pod, ground, spec
        self.state = ContainerState(spec["name"], spec["image"])
        self.journal: Journal | None = None
        self._id = ""
        self._stopping = False
        self._idle = asyncio.Event()
        """Set while nothing runs."""
        self._idle.set()

    async def run(self) -> None:
        """Run until the container has ended for good; one without an image waits for ever."""
        image = self.spec["image"]
        try:
            entry = self._ground.images.entry(image)
        except NoSuchImageError as error:
            self.state.state = {"waiting": {"reason": "ErrImagePull", "message": str(error)}}
            warn(self._ground.store, PODS, self._pod.pod, "Failed", f'Failed to pull image "{image}": {error}')
            self._pod.report()
            return
        await self._run_once(entry)
        while self._shall_restart():
            self._pod.report()
            await asyncio.sleep(RESTART_S)
            self.state.restarts += 1
            await self._run_once(entry)
        self.state.done = True
        self._pod.report()

    async def stop(self) -> None:
        """Ask it to end, not to come back, and wait for that."""
        self._stopping = True
        await self.signal(signal.SIGTERM)
        await self._idle.wait()

    async def signal(self, number: int) -> None:
        """Send a signal to its first process, if it runs."""
        if not self._idle.is_set():
            await self._ground.cri.kill(self._id, number)

    async def _run_once(self, entry: tuple[str, ...]) -> None:
        self._id = str(uuid.uuid4())
        journal = self.journal = Journal()
        self._idle.clear()
        try:
            ended = await self._ground.cri.start(self._spec(entry), journal.writer)
        except StartError as error:
            warn(self._ground.store, PODS, self._pod.pod, "Failed", f"Error: {error}")
            self.state.state = terminated(128, f"failed to create containerd task: {error}")
        else:
            if self._stopping:
                await self.signal(signal.SIGKILL)
            self.state.state = terminated(await self._watch(ended))
        finally:
            os.close(journal.writer)
            await journal.end()
            self.state.ready = False
            self._idle.set()

    async def _watch(self, ended: asyncio.Future[int]) -> int:
        """Wait for the end, and see meanwhile when it is ready."""
        self.state.state = {"running": {}}
        self._pod.report()
        probing = asyncio.create_task(self._become_ready())
        try:
            return await ended
        finally:
            probing.cancel()

    async def _become_ready(self) -> None:
        await until_ready(self.spec, str(self._pod.address))
        self.state.ready = True
        self._pod.report()

    def _shall_restart(self) -> bool:
        policy = self._pod.pod["spec"]["restartPolicy"]
        failed = bool(self.state.state["terminated"]["exitCode"])
        return not self._stopping and (policy == "Always" or (policy == "OnFailure" and failed))

    def _spec(self, entry: tuple[str, ...]) -> ContainerSpec:
        pod = self._pod.pod
        allowed = rights(pod["spec"], self.spec)
        return ContainerSpec(
            id=self._id,
            pod=self._pod.uid,
            hostname=pod["spec"].get("hostname") or pod["metadata"]["name"][:63],
            command=(*(self.spec.get("command") or entry), *(self.spec.get("args") or ())),
            environment=self._environment(),
            files=str(self._pod.files),
            user=allowed.user,
            capabilities=allowed.capabilities,
            no_new_privs=allowed.no_new_privs,
        )

    def _environment(self) -> dict[str, str]:
        """Give the image's variables, the kubelet's and the container's; later ones win, `valueFrom` is not known."""
        return environment() | {
            "HOSTNAME": self._pod.pod["metadata"]["name"],
            "KUBERNETES_SERVICE_HOST": str(self._ground.shape.api_service),
            "KUBERNETES_SERVICE_PORT": "443",
            **{each["name"]: each["value"] for each in self.spec.get("env") or () if "value" in each},
        }
