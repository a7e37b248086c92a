"""The node's end of the line to `runtime`: requests as coroutines, containers' ends as futures."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections import deque
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from kttun.errors import EnvironmentFaultError
from kttun.sandbox.runtime import DATAGRAM

if TYPE_CHECKING:
    from collections.abc import Mapping
    from ipaddress import IPv4Address

    from kttun.sandbox.container import ContainerSpec


class StartError(Exception):
    """A container could not be started; the text says why, as runtimes do."""


@dataclass(frozen=True, slots=True)
class Exit:
    """How a container ended: its exit code as shells count, and the signal that ended it or 0."""

    code: int
    signal: int


class Cri:
    """The container runtime, as far as the kubelet needs one; belongs to the running event loop."""

    def __init__(self, runtime: socket.socket) -> None:
        self._runtime = runtime
        self._asked: deque[asyncio.Future[tuple[dict[str, Any], list[int]]]] = deque()
        self._ends: dict[str, asyncio.Future[Exit]] = {}
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(runtime, self._heard)
        self._node: asyncio.Future[tuple[dict[str, Any], list[int]]] = self._loop.create_future()
        self._asked.append(self._node)

    async def node_ready(self) -> None:
        """Wait until the node's own network is set up. Raises `EnvironmentFaultError`."""
        await self._node

    async def make_pod(self, pod: str, address: IPv4Address, sysctls: Mapping[str, str]) -> int:
        """Make the network of a pod (a uid); give its namespace as a descriptor, which the caller closes.

        Raises `StartError`.
        """
        answer, descriptors = await self._ask(do="pod", pod=pod, address=str(address), sysctls=dict(sysctls))
        _check(answer)
        os.set_inheritable(descriptors[0], False)  # noqa: FBT003 - the call's own parameter
        return descriptors[0]

    async def forget_pod(self, pod: str) -> None:
        """Let go of a pod's network."""
        await self._ask(do="forget", pod=pod)

    async def start(self, spec: ContainerSpec, log: int) -> asyncio.Future[Exit]:
        """Start a container that writes to `log` (a descriptor); give the future of its end. Raises `StartError`."""
        ended = self._ends[spec.id] = self._loop.create_future()
        answer, _ = await self._ask(log, do="run", **asdict(spec))
        try:
            _check(answer)
        except StartError:
            del self._ends[spec.id]
            raise
        return ended

    async def kill(self, container: str, number: int) -> None:
        """Send a signal to a container's first process; nothing happens when it has ended."""
        await self._ask(do="kill", id=container, signal=number)

    async def _ask(self, *descriptors: int, **request: Any) -> tuple[dict[str, Any], list[int]]:
        data = json.dumps(request).encode()
        if len(data) > DATAGRAM:
            return {"failed": "argument list too long"}, []
        answer: asyncio.Future[tuple[dict[str, Any], list[int]]] = self._loop.create_future()
        self._asked.append(answer)
        socket.send_fds(self._runtime, [data], list(descriptors))
        return await answer

    def _heard(self) -> None:
        data, descriptors, _, _ = socket.recv_fds(self._runtime, DATAGRAM, 1)
        if not data:
            self._loop.remove_reader(self._runtime)
            if not self._node.done():
                self._node.set_exception(EnvironmentFaultError("the sandbox's node could not be set up"))
            return
        message = json.loads(data)
        if "exited" in message:
            ended = self._ends.pop(message["exited"], None)
            if ended is not None and not ended.done():
                ended.set_result(Exit(message["code"], message["signal"]))
            return
        answer = self._asked.popleft()
        if not answer.done():
            answer.set_result((message, descriptors))


def _check(answer: dict[str, Any]) -> None:
    if "failed" in answer:
        raise StartError(answer["failed"])
