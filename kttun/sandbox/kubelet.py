"""The kubelet: makes the pods that were given to its node true, and is the way into them for the API."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from typing import TYPE_CHECKING

from kttun.sandbox.kinds import PODS
from kttun.sandbox.namespaces import inside
from kttun.sandbox.podlife import PodLife
from kttun.sandbox.status import StatusError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from ipaddress import IPv4Address

    from kttun.sandbox.podlife import Ground
    from kttun.sandbox.store import Event, Object


class Kubelet:
    """Runs as `run`; the API asks it for connections into pods and for what they have printed."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._lives: dict[str, PodLife] = {}
        """By the pods' uids; an address is free again when its pod's life is over."""
        self._last = ground.shape.gateway

    async def run(self) -> None:
        """Follow the pods, without end."""
        async for event in self._ground.store.subscribe(PODS):
            if event.found["spec"].get("nodeName"):
                self._follow(event)

    async def dial(self, pod: Object, port: int) -> socket.socket:
        """Connect to 127.0.0.1 in the pod, as container runtimes do for a port-forward. Raises `OSError`."""
        life = self._lives.get(pod["metadata"]["uid"])
        if life is None or life.network is None:
            raise ConnectionRefusedError("the pod does not run")
        with inside(life.network):
            connected = socket.socket()
        try:
            connected.setblocking(False)  # noqa: FBT003 - the socket's own parameter
            await asyncio.get_running_loop().sock_connect(connected, ("127.0.0.1", port))
        except BaseException:
            connected.close()
            raise
        return connected

    async def logs(self, pod: Object, container: str, *, follow: bool, tail: int | None) -> AsyncIterator[bytes]:
        """Yield a container's lines, none when it has not run yet; see `Journal.read`."""
        life = self._lives.get(pod["metadata"]["uid"])
        found = next((each for each in life.containers if each.spec["name"] == container), None) if life else None
        if found is not None and found.journal is not None:
            async for line in found.journal.read(follow=follow, tail=tail):
                yield line

    def _follow(self, event: Event) -> None:
        meta = event.found["metadata"]
        life = self._lives.get(meta["uid"])
        if event.change == "DELETED":
            if life is not None:
                life.end(0, lambda: self._forget(meta))
            return
        if life is None:
            life = self._lives[meta["uid"]] = PodLife(self._ground, event.found, self._free_address())
        life.pod = event.found
        if meta.get("deletionTimestamp") != (event.before or event.found)["metadata"].get("deletionTimestamp"):
            life.end(meta["deletionGracePeriodSeconds"], lambda: self._forget(meta))

    def _forget(self, meta: Object) -> None:
        """Let the API forget a pod whose last process has ended."""
        self._lives.pop(meta["uid"], None)
        with suppress(StatusError):
            if self._ground.store.get(PODS, meta["namespace"], meta["name"])["metadata"]["uid"] == meta["uid"]:
                self._ground.store.remove(PODS, meta["namespace"], meta["name"])

    def _free_address(self) -> IPv4Address:
        """Give the next address that no pod has; in a circle, so that a new pod seldom gets what others remember."""
        hosts = self._ground.shape.pods
        used = {life.address for life in self._lives.values()} | {self._ground.shape.gateway}
        while True:
            following = self._last + 1
            self._last = following if following < hosts.broadcast_address - 1 else hosts[1]
            if self._last not in used:
                return self._last
