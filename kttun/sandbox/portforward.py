"""Port-forward, in the forms that clients use, as measured on Kubernetes 1.34 with containerd.

- POST with `Upgrade: SPDY/3.1`: the connection itself speaks SPDY.
- WebSocket `v4.channel.k8s.io`, also asked for by no name at all: ports in the query, channel 2i carries the data of
  the i-th, channel 2i+1 its error, and the first message of each channel is the port, 16 bits, little endian.

Both are HTTP requests that stay; a fault of the node cuts them. kubectl asks for SPDY inside a WebSocket first, is
refused, and falls back to the first.
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

from aiohttp import WSMsgType, hdrs, web

from kttun.sandbox.relay import CHUNK, ConnectError, Relay
from kttun.sandbox.spdy import SpdyServer
from kttun.sandbox.status import bad_request

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from kttun.sandbox.faults import Faults
    from kttun.sandbox.kubelet import Kubelet

V4 = "v4.channel.k8s.io"
SPDY = "SPDY/3.1"
STREAM_PROTOCOL = "portforward.k8s.io"
LARGEST_MESSAGE = 32 * 1024 * 1024
"""What the runtime's WebSocket takes in one frame (golang.org/x/net/websocket)."""
MESSAGE = 32 * 1024
"""Bytes of data in one message to the client: the runtime's copy buffer."""


class PortForward:
    """Forwards to one pod for one request."""

    def __init__(self, kubelet: Kubelet, faults: Faults, pod: dict[str, Any]) -> None:
        self._kubelet, self._faults, self._pod = kubelet, faults, pod

    async def serve(self, request: web.BaseRequest) -> web.StreamResponse:
        """Upgrade the connection and forward until the client goes. Raises `StatusError` for no such upgrade."""
        transport = request.transport
        if transport is None:
            raise ConnectionResetError
        asked = request.headers.get(hdrs.UPGRADE, "").lower()
        stop_watching = self._faults.watch_for_cut(transport.abort)
        try:
            if asked == SPDY.lower():
                return await self._spdy(request, transport)
            if asked == "websocket":
                return await self._websocket(request)
        finally:
            stop_watching()
        raise bad_request("Upgrade request required")

    async def _spdy(self, request: web.BaseRequest, transport: asyncio.Transport) -> web.StreamResponse:
        headers = {"Connection": "Upgrade", "Upgrade": SPDY, "X-Stream-Protocol-Version": STREAM_PROTOCOL}
        response = web.StreamResponse(status=101, headers=headers)
        await response.prepare(request)
        stream = _Upgraded(request, transport)
        try:
            await SpdyServer(stream.reader, stream.writer, self.connect).run()
        finally:
            transport.abort()
        return response

    async def _websocket(self, request: web.BaseRequest) -> web.StreamResponse:
        named = request.headers.get(hdrs.SEC_WEBSOCKET_PROTOCOL, "")
        offered = [name.strip() for name in named.split(",") if name.strip()]
        if offered and V4 not in offered:
            return web.Response(status=403)
        ports = _ports(request)
        protocols = [V4] if offered else ()
        socket_ = web.WebSocketResponse(protocols=protocols, max_msg_size=LARGEST_MESSAGE, compress=False)
        await socket_.prepare(request)
        await _Channels(socket_, ports, self).run()
        await socket_.close()
        return socket_

    async def connect(self, port: int, send: Callable[[bytes], Awaitable[None]]) -> Relay:
        """Connect to a port of the pod; `send` takes what it says. Raises `ConnectError`."""
        await self._faults.awake()
        try:
            sock = await self._kubelet.dial(self._pod, port)
            reader, writer = await asyncio.open_connection(sock=sock, limit=CHUNK)
        except OSError as error:
            meta, why = self._pod["metadata"], os.strerror(error.errno) if error.errno else str(error)
            raise ConnectError(
                f"error forwarding port {port} to pod {meta['name']}, uid {meta['uid']}: failed to connect to "
                f"localhost:{port} inside its network namespace: {why.lower()}"
            ) from error
        return Relay(reader, writer, send, self._faults.awake)


class _Upgraded(asyncio.StreamReaderProtocol):
    """A connection that was taken from the HTTP server, which only hears of its end."""

    def __init__(self, request: web.BaseRequest, transport: asyncio.Transport) -> None:
        self.reader = asyncio.StreamReader(limit=CHUNK)
        super().__init__(self.reader)
        self._http = request.protocol
        self.writer = asyncio.StreamWriter(transport, self, self.reader, asyncio.get_running_loop())
        transport.set_protocol(self)
        self.connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._http.connection_lost(exc)


class _Channels:
    """The channels of one v4 WebSocket."""

    def __init__(self, socket_: web.WebSocketResponse, ports: list[int], forward: PortForward) -> None:
        self._socket, self._ports, self._forward = socket_, ports, forward
        self._relays: dict[int, Relay] = {}

    async def run(self) -> None:
        for index, port in enumerate(self._ports):
            for channel in (2 * index, 2 * index + 1):
                await self._socket.send_bytes(bytes([channel]) + port.to_bytes(2, "little"))
        try:
            for index, port in enumerate(self._ports):  # before the first message is read: it must find its relay
                await self._connect(2 * index, port)
            async with asyncio.TaskGroup() as group:
                tasks = {group.create_task(self._read()), group.create_task(self._serve())}
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                for task in tasks:
                    task.cancel()
        finally:
            for relay in self._relays.values():
                relay.close()

    async def _connect(self, channel: int, port: int) -> None:
        try:
            self._relays[channel] = await self._forward.connect(port, lambda piece: self._send(channel, piece))
        except ConnectError as failed:
            await self._socket.send_bytes(bytes([channel + 1]) + str(failed).encode())

    async def _serve(self) -> None:
        async with asyncio.TaskGroup() as group:
            for relay in self._relays.values():
                group.create_task(relay.run())

    async def _send(self, channel: int, piece: bytes) -> None:
        for start in range(0, len(piece), MESSAGE):
            await self._socket.send_bytes(bytes([channel]) + piece[start : start + MESSAGE])

    async def _read(self) -> None:
        while (message := await self._socket.receive()).type is WSMsgType.BINARY:
            relay = self._relays.get(message.data[0]) if message.data else None
            if relay is not None:
                await relay.feed(message.data[1:])


def _ports(request: web.BaseRequest) -> list[int]:
    texts = [text for value in request.query.getall("ports", []) for text in value.split(",")]
    if not texts or not all(text.isdecimal() and 0 < int(text) < 65536 for text in texts):
        raise bad_request("at least one port is required, each from 1 to 65535")
    return [int(text) for text in texts]
