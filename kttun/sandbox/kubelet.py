"""The kubelet: makes the pods that were given to its node true, and is the way into them for the API."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from typing import TYPE_CHECKING

from kttun.sandbox.kinds import PODS
from kttun.sandbox.namespaces import inside
from kttun.sandbox.podlife import PodLife
from kttun.sandbox.shape import NODE
from kttun.sandbox.status import StatusError
from kttun.sandbox.store import POD_GRACE_S

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from ipaddress import IPv4Address

    from kttun.sandbox.podlife import Ground
    from kttun.sandbox.store import Event, Object


class Kubelet:
    """Runs as `run`; implements `pods.PodRuntime`."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._lives: dict[str, PodLife] = {}
        """By the pods' uids; an address is free again when its pod's life is over."""
        self._last = ground.shape.gateway

    async def run(self) -> None:
        """Follow the pods, without end."""
        async for event in self._ground.store.subscribe(PODS):
            if event.found["spec"].get("nodeName") == NODE:
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
        """Yield a container's lines; none when it has not run yet."""
        life = self._lives.get(pod["metadata"]["uid"])
        found = life.container(container) if life else None
        if found is None or found.journal is None:
            return
        kept = found.journal.lines()
        first = max(0, len(kept) - tail) if tail is not None else 0
        if not follow:
            for line in kept[first:]:
                yield line.text
            return
        async for line in found.journal.follow(first):
            yield line.text

    def _follow(self, event: Event) -> None:
        meta = event.found["metadata"]
        life = self._lives.get(meta["uid"])
        if event.change == "DELETED":
            if life is not None:
                life.end(0, lambda: self._over(meta["uid"]))
            return
        if life is None:
            life = self._lives[meta["uid"]] = PodLife(self._ground, event.found, self._free_address())
        life.pod = event.found
        if "deletionTimestamp" in meta and "deletionTimestamp" not in (event.before or {"metadata": {}})["metadata"]:
            grace = meta.get("deletionGracePeriodSeconds", POD_GRACE_S)
            life.end(grace, lambda: self._gone(event.found))

    def _gone(self, pod: Object) -> None:
        """Let the API forget a pod whose last process has ended."""
        meta = pod["metadata"]
        self._over(meta["uid"])
        with suppress(StatusError):
            if self._ground.store.get(PODS, meta["namespace"], meta["name"])["metadata"]["uid"] == meta["uid"]:
                self._ground.store.remove(PODS, meta["namespace"], meta["name"])

    def _over(self, uid: str) -> None:
        self._lives.pop(uid, None)

    def _free_address(self) -> IPv4Address:
        """Give the next address that no pod has; in a circle, so that a new pod seldom gets what others remember."""
        hosts = self._ground.shape.pods
        used = {life.address for life in self._lives.values()} | {self._ground.shape.gateway}
        while True:
            following = self._last + 1
            self._last = following if following < hosts.broadcast_address - 1 else hosts[1]
            if self._last not in used:
                return self._last
