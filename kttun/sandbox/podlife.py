"""One pod on the node, from its network to its last container's end (Kubernetes "Pod Lifecycle")."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kttun.sandbox.containerlife import ContainerLife
from kttun.sandbox.cri import StartError
from kttun.sandbox.events import warn
from kttun.sandbox.kinds import PODS
from kttun.sandbox.podstatus import status
from kttun.sandbox.shape import DOMAIN
from kttun.sandbox.status import StatusError

if TYPE_CHECKING:
    from collections.abc import Callable
    from ipaddress import IPv4Address
    from pathlib import Path

    from kttun.sandbox.cri import Cri
    from kttun.sandbox.images import Images
    from kttun.sandbox.shape import Shape
    from kttun.sandbox.store import Object, Store


NETWORK_RETRY_S = 1.0


@dataclass(slots=True)
class Ground:
    """What all pods of the node stand on."""

    store: Store
    cri: Cri
    images: Images
    shape: Shape
    files: Path
    """The folder under which each pod gets one for its hosts and resolv.conf."""
    forwarding: bool = True
    """Whether new pods forward packets, as most network plug-ins leave it; Calico's do not."""


class PodLife:
    """One pod that was given to this node, and its task. `network` is its namespace's descriptor once it has one."""

    def __init__(self, ground: Ground, pod: Object, address: IPv4Address) -> None:
        self._ground, self.pod, self.address = ground, pod, address
        self.uid: str = pod["metadata"]["uid"]
        self.files = ground.files / self.uid
        """The folder of this pod's own files."""
        self.network: int | None = None
        self.containers = [ContainerLife(self, ground, each) for each in pod["spec"].get("containers") or ()]
        self._runs = asyncio.create_task(self._run())
        self._ends: asyncio.Task[None] | None = None

    def end(self, grace_s: float, then: Callable[[], None]) -> None:
        """End all containers: SIGTERM, and SIGKILL after the grace; a second call can only make it shorter."""
        if self._ends is not None:
            self._ends.cancel()
        self._ends = asyncio.create_task(self._end(grace_s, then))

    def report(self) -> None:
        """Put into the pod's status what is now true of its containers, as long as the API has this pod."""
        address = {} if self.network is None else {"podIP": str(self.address), "podIPs": [{"ip": str(self.address)}]}
        states = [each.state for each in self.containers]

        def put(pod: Object) -> None:
            if pod["metadata"]["uid"] == self.uid:
                old = pod.get("status") or {}
                pod["status"] = status(old, states, hostIP=str(self._ground.shape.node), **address)

        with suppress(StatusError):  # deleted without grace: there is nobody to tell
            self._ground.store.update(PODS, self.pod["metadata"]["namespace"], self.pod["metadata"]["name"], put)

    async def _run(self) -> None:
        self._write_files()
        while self.network is None:
            try:
                self.network = await self._ground.cri.make_pod(
                    self.uid, self.address, forwarding=self._ground.forwarding
                )
            except StartError as error:
                why = f"Failed to create pod sandbox: {error}"
                warn(self._ground.store, PODS, self.pod, "FailedCreatePodSandBox", why)
                await asyncio.sleep(NETWORK_RETRY_S)
        self.report()
        await asyncio.gather(*(each.run() for each in self.containers))

    def _write_files(self) -> None:
        """Write what the kubelet writes for a pod: hosts, and resolv.conf as of dnsPolicy ClusterFirst."""
        self.files.mkdir(parents=True, exist_ok=True)
        name, namespace = (self.pod["metadata"][key] for key in ("name", "namespace"))
        self.files.joinpath("hosts").write_text(
            f"# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n::1\tlocalhost\n{self.address}\t{name}\n"
        )
        search = f"{namespace}.svc.{DOMAIN} svc.{DOMAIN} {DOMAIN}"
        self.files.joinpath("resolv.conf").write_text(
            f"search {search}\nnameserver {self._ground.shape.dns_service}\noptions ndots:5\n"
        )

    async def _end(self, grace_s: float, then: Callable[[], None]) -> None:
        ending = [asyncio.create_task(each.stop()) for each in self.containers]
        with suppress(TimeoutError):
            async with asyncio.timeout(grace_s):
                await asyncio.gather(*ending)
        for each in self.containers:
            await each.signal(signal.SIGKILL)
        await asyncio.gather(*(each.stop() for each in self.containers))
        self._runs.cancel()
        if self.network is not None:
            await self._ground.cri.forget_pod(self.uid)
            os.close(self.network)
            self.network = None
        shutil.rmtree(self.files, ignore_errors=True)
        then()
