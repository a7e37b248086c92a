"""gRPC without generated code: an echo of any message, and the standard health service."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from grpclib.const import Cardinality, Handler
from grpclib.encoding.base import CodecBase
from grpclib.server import Server

if TYPE_CHECKING:
    from collections.abc import Mapping

PORT = 50051
SERVING = b"\x08\x01"
"""A HealthCheckResponse whose status (field 1, varint) is SERVING (grpc.health.v1)."""


class Bytes(CodecBase):
    """Messages as they are: the echo need not understand them."""

    __content_subtype__ = "proto"

    def encode(self, message: Any, message_type: Any) -> bytes:  # noqa: ARG002 - the library's signature
        """Give the message."""
        return bytes(message)

    def decode(self, data: bytes, message_type: Any) -> bytes:  # noqa: ARG002 - the same
        """Give the message."""
        return data


class _Echo:
    """`/kttun.example.Echo/Say` gives back its message; `/grpc.health.v1.Health/Check` says SERVING."""

    def __mapping__(self) -> Mapping[str, Handler]:
        return {
            "/kttun.example.Echo/Say": Handler(_say, Cardinality.UNARY_UNARY, bytes, bytes),
            "/grpc.health.v1.Health/Check": Handler(_check, Cardinality.UNARY_UNARY, bytes, bytes),
        }


async def _say(stream: Any) -> None:
    await stream.send_message(await stream.recv_message())


async def _check(stream: Any) -> None:
    await stream.recv_message()
    await stream.send_message(SERVING)


def serve() -> None:
    """Serve gRPC without end."""
    asyncio.run(_serve())


async def _serve() -> None:
    server = Server([_Echo()], codec=Bytes())
    await server.start("0.0.0.0", PORT)  # noqa: S104 - a pod's own network
    await server.wait_closed()
