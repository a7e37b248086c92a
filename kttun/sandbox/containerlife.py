"""One container of a pod: its image, its runs, its readiness, and the waits between runs (restartPolicy)."""

from __future__ import annotations

import asyncio
import os
import signal
import uuid
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from kttun.sandbox.container import ContainerSpec
from kttun.sandbox.cri import Exit, StartError
from kttun.sandbox.images import NoSuchImageError, environment
from kttun.sandbox.journal import Journal
from kttun.sandbox.kinds import PODS
from kttun.sandbox.podstatus import ContainerState, terminated, waiting
from kttun.sandbox.probe import keep_probing
from kttun.sandbox.security import rights
from kttun.sandbox.store import timestamp

if TYPE_CHECKING:
    from kttun.sandbox.podlife import Ground, PodLife

FIRST_BACKOFF_S, LONGEST_BACKOFF_S = 10.0, 300.0
"""Waits before a restart, the first of which comes after the second end (Kubernetes "Container restarts")."""
PULL_PAUSE_S = 1.0
"""How long a pull's own error shows before the status says that it waits."""


class ContainerLife:
    """One container, run by `run` until it has ended for good; `journal` is of its last run."""

    def __init__(self, pod: PodLife, ground: Ground, spec: dict[str, Any]) -> None:
        self._pod = pod
        self._ground = ground
        self.spec = spec
        self.state = ContainerState(spec["name"], spec["image"])
        self.journal: Journal | None = None
        self._id = ""
        self._stopping = False
        self._idle = asyncio.Event()
        """Set while nothing runs."""
        self._idle.set()

    async def run(self) -> None:
        """Run until the container has ended for good; a container without an image waits for ever."""
        try:
            entry = self._ground.images.entry(self.spec["image"])
        except NoSuchImageError as error:
            await self._wait_for_image(str(error))
            return
        backoff = 0.0
        while not self._stopping:
            began = asyncio.get_running_loop().time()
            await self._run_once(entry)
            if not self._shall_restart():
                self.state.done = True
                self._pod.report()
                return
            if asyncio.get_running_loop().time() - began > 2 * LONGEST_BACKOFF_S:
                backoff = 0.0
            await self._back_off(backoff)
            backoff = min(2 * backoff or FIRST_BACKOFF_S, LONGEST_BACKOFF_S)

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
        began = timestamp()
        self._id = str(uuid.uuid4())
        journal = self.journal = Journal()
        self._idle.clear()
        try:
            ended = await self._ground.cri.start(self._spec(entry), journal.writer)
        except StartError as error:
            self._ground.recorder.warning(PODS, self._pod.pod, "Failed", f"Error: {error}")
            self.state.state = terminated(128, 0, began, f"failed to create containerd task: {error}")
            return
        else:
            if self._stopping:
                await self.signal(signal.SIGKILL)
            end = await self._watch(ended, began)
            self.state.state = terminated(end.code, end.signal, began)
        finally:
            os.close(journal.writer)
            await journal.end()
            self.state.ready = False
            self._idle.set()

    async def _watch(self, ended: asyncio.Future[Exit], began: str) -> Exit:
        """Wait for the end, and know meanwhile whether it is ready."""

        def tell(ready: bool) -> None:  # noqa: FBT001 - the one word that a probe says
            self.state.ready = ready
            self._pod.report()

        self.state.state = {"running": {"startedAt": began}}
        self._ground.recorder.normal(PODS, self._pod.pod, "Started", f"Started container {self.spec['name']}")
        self._pod.report()
        probing = asyncio.create_task(keep_probing(self.spec, str(self._pod.address), tell))
        try:
            return await ended
        finally:
            probing.cancel()

    def _shall_restart(self) -> bool:
        policy = self._pod.pod["spec"].get("restartPolicy") or "Always"
        failed = bool(self.state.state["terminated"]["exitCode"])
        return not self._stopping and (policy == "Always" or (policy == "OnFailure" and failed))

    async def _back_off(self, seconds: float) -> None:
        self.state.last = self.state.state
        if seconds:
            name, pod = self.spec["name"], self._pod.pod["metadata"]["name"]
            message = f"back-off {seconds:g}s restarting failed container={name} pod={pod}"
            self.state.state = waiting("CrashLoopBackOff", message)
            self._ground.recorder.warning(PODS, self._pod.pod, "BackOff", message)
            self._pod.report()
            await asyncio.sleep(seconds)
        self.state.restarts += 1

    async def _wait_for_image(self, why: str) -> None:
        image = self.spec["image"]
        self.state.state = waiting("ErrImagePull", why)
        self._ground.recorder.warning(PODS, self._pod.pod, "Failed", f'Failed to pull image "{image}": {why}')
        self._pod.report()
        await asyncio.sleep(PULL_PAUSE_S)
        self.state.state = waiting("ImagePullBackOff", f'Back-off pulling image "{image}": ErrImagePull: {why}')
        self._ground.recorder.normal(PODS, self._pod.pod, "BackOff", f'Back-off pulling image "{image}"')
        self._pod.report()

    def _spec(self, entry: tuple[str, ...]) -> ContainerSpec:
        pod = self._pod.pod
        allowed = rights(pod["spec"], self.spec)
        command = tuple(self.spec.get("command") or entry)
        return ContainerSpec(
            id=self._id,
            pod=self._pod.uid,
            hostname=pod["spec"].get("hostname") or pod["metadata"]["name"][:63],
            command=(*command, *(self.spec.get("args") or ())),
            environment=self._environment(),
            files=str(self._pod.files),
            user=allowed.user,
            group=allowed.group,
            capabilities=allowed.capabilities,
            no_new_privs=allowed.no_new_privs,
        )

    def _environment(self) -> dict[str, str]:
        """Give the image's variables, the kubelet's and the container's; later ones win."""
        meta = self._pod.pod["metadata"]
        fields = {
            "metadata.name": meta["name"],
            "metadata.namespace": meta["namespace"],
            "metadata.uid": meta["uid"],
            "status.podIP": str(self._pod.address),
        }
        found = environment() | {
            "HOSTNAME": meta["name"],
            "KUBERNETES_SERVICE_HOST": str(self._ground.shape.api_service),
            "KUBERNETES_SERVICE_PORT": "443",
        }
        for each in self.spec.get("env") or ():
            with suppress(KeyError):
                found[each["name"]] = fields[each["valueFrom"]["fieldRef"]["fieldPath"]]
            if "value" in each:
                found[each["name"]] = each["value"]
        return found
