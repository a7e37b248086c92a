"""The node's end of the line to `runtime`: requests as coroutines, containers' ends as futures."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections import deque
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from kttun.errors import EnvironmentFaultError
from kttun.sandbox.runtime import DATAGRAM

if TYPE_CHECKING:
    from ipaddress import IPv4Address

    from kttun.sandbox.container import ContainerSpec

    Answer = asyncio.Future[tuple[dict[str, Any], list[int]]]


class StartError(Exception):
    """A pod or a container could not be started; the text says why, as runtimes do."""


class Cri:
    """The container runtime, as far as the kubelet needs one; belongs to the running event loop."""

    def __init__(self, runtime: socket.socket) -> None:
        self._runtime = runtime
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(runtime, self._heard)
        self._node: Answer = self._loop.create_future()
        self._asked = deque([self._node])
        self._ends: dict[str, asyncio.Future[int]] = {}

    async def node_ready(self) -> None:
        """Wait until the node's own network is set up. Raises `EnvironmentFaultError`."""
        await self._node

    async def make_pod(self, pod: str, address: IPv4Address, *, forwarding: bool) -> int:
        """Make the network of a pod (a uid); give its namespace as a descriptor, which the caller closes.

        Raises `StartError`.
        """
        (network,) = await self._ask(do="pod", pod=pod, address=str(address), forwarding=forwarding)
        os.set_inheritable(network, False)  # noqa: FBT003 - the call's own parameter
        return network

    async def forget_pod(self, pod: str) -> None:
        """Let go of a pod's network."""
        await self._ask(do="forget", pod=pod)

    async def start(self, spec: ContainerSpec, log: int) -> asyncio.Future[int]:
        """Start a container that writes to `log` (a descriptor); give the future of its exit code.

        Codes are as shells count them: 128 and the signal. Raises `StartError`.
        """
        ended = self._ends[spec.id] = self._loop.create_future()
        try:
            await self._ask(log, do="run", **asdict(spec))
        except StartError:
            del self._ends[spec.id]
            raise
        return ended

    async def kill(self, container: str, number: int) -> None:
        """Send a signal to a container's first process; nothing happens when it has ended."""
        await self._ask(do="kill", id=container, signal=number)

    async def _ask(self, *descriptors: int, **request: Any) -> list[int]:
        data = json.dumps(request).encode()
        if len(data) > DATAGRAM:
            raise StartError("argument list too long")
        answer: Answer = self._loop.create_future()
        self._asked.append(answer)
        socket.send_fds(self._runtime, [data], list(descriptors))
        told, given = await answer
        if "failed" in told:
            raise StartError(told["failed"])
        return given

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
                ended.set_result(message["code"])
            return
        answer = self._asked.popleft()
        if not answer.done():
            answer.set_result((message, descriptors))
