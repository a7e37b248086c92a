"""The server's side of a SPDY port-forward: pairs of streams, each pair one connection into the pod.

The client opens an error stream and a data stream with the same `requestid` (Go module `k8s.io/cri-streaming`, package
portforward). The data stream carries the connection; the error stream carries text when it fails. When it is over both
are finished, the data stream first.
"""

from __future__ import annotations

import asyncio
import struct
from typing import TYPE_CHECKING, Protocol

from kttun.sandbox.relay import ConnectError
from kttun.sandbox.spdy_frames import (
    FIN,
    GOAWAY,
    PING,
    RST_STREAM,
    SYN_STREAM,
    Control,
    Data,
    FrameReader,
    HeaderReader,
    HeaderWriter,
    SpdyError,
    control,
    data_head,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from kttun.sandbox.relay import Relay

    Connect = Callable[[int, Callable[[bytes], Awaitable[None]]], Awaitable[Relay]]

MOST_FORWARDS = 1000
"""Connections that one client may have open at a time in one port-forward."""


class ByteStream(Protocol):
    """What SPDY runs over: the upgraded connection."""

    async def read(self) -> bytes:
        """Give the next bytes, none at the end."""
        ...

    async def write(self, data: bytes) -> None:
        """Send bytes, and wait while too many wait. Raises `ConnectionError` when the client has gone."""
        ...


class SpdyServer:
    """Serves one client. `connect(port, send)` connects to the pod and raises `ConnectError`."""

    def __init__(self, stream: ByteStream, connect: Connect) -> None:
        self._stream, self._connect = stream, connect
        self._headers, self._replies = HeaderReader(), HeaderWriter()
        self._waiting: dict[str, dict[str, int]] = {}
        self._relays: dict[int, Relay] = {}

    async def run(self) -> None:
        """Serve until the client has gone or speaks nonsense."""
        frames = FrameReader()
        async with asyncio.TaskGroup() as forwards:
            try:
                while data := await self._stream.read():
                    for frame in frames.feed(data):
                        if isinstance(frame, Data):
                            await self._pass_on(frame)
                        elif not await self._obey(frame, forwards):
                            return
            except (SpdyError, ConnectionError):
                return
            finally:
                for relay in self._relays.values():
                    relay.close()

    async def _pass_on(self, frame: Data) -> None:
        relay = self._relays.get(frame.stream)
        if relay is None:
            return
        if frame.piece:
            await relay.feed(frame.piece)
        if frame.fin:
            relay.feed_eof()

    async def _obey(self, frame: Control, forwards: asyncio.TaskGroup) -> bool:
        if frame.kind == SYN_STREAM:
            await self._open(frame, forwards)
        elif frame.kind == PING:
            await self._stream.write(control(PING, frame.body))
        elif frame.kind == RST_STREAM and len(frame.body) == 8:
            relay = self._relays.get(struct.unpack_from("!I", frame.body)[0])
            if relay is not None:
                relay.close()
        return frame.kind != GOAWAY

    async def _open(self, frame: Control, forwards: asyncio.TaskGroup) -> None:
        stream, headers = self._headers.read(frame.body)
        await self._stream.write(self._replies.reply(stream))
        pair = self._waiting.setdefault(headers.get("requestid", ""), {})
        pair[headers.get("streamtype", "")] = stream
        if {"error", "data"} <= pair.keys():
            del self._waiting[headers.get("requestid", "")]
            await self._forward(headers.get("port", ""), pair["data"], pair["error"], forwards)
        elif len(self._waiting) + len(self._relays) > MOST_FORWARDS:
            raise SpdyError("too many streams")
        if frame.flags & FIN and stream in self._relays:
            self._relays[stream].feed_eof()

    async def _forward(self, port: str, data: int, error: int, forwards: asyncio.TaskGroup) -> None:
        try:
            relay = await self._connect(int(port) if port.isdecimal() else 0, lambda piece: self._send(data, piece))
        except ConnectError as failed:
            await self._finish(data, error, str(failed))
            return
        self._relays[data] = relay
        forwards.create_task(self._run(relay, data, error))

    async def _run(self, relay: Relay, data: int, error: int) -> None:
        await relay.run()
        del self._relays[data]
        await self._finish(data, error, "")

    async def _send(self, stream: int, piece: bytes) -> None:
        await self._stream.write(data_head(stream, len(piece)) + piece)

    async def _finish(self, data: int, error: int, text: str) -> None:
        told = text.encode()
        frames = data_head(data, 0, fin=True) + (data_head(error, len(told)) + told if told else b"")
        try:
            await self._stream.write(frames + data_head(error, 0, fin=True))
        except ConnectionError:
            return  # nobody is left to be told
