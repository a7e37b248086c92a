"""What the API asks of whatever runs the pods: connections into them and what they have printed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator


class PodRuntime(Protocol):
    """The runtime behind the API. Pods are given as they are in the store; their containers run or have run."""

    async def dial(self, pod: dict[str, Any], port: int) -> socket.socket:
        """Connect to a TCP port on 127.0.0.1 in the pod's own network namespace.

        Gives a connected socket, which is the caller's from now on. Raises `OSError` as connect(2) does, for example
        `ConnectionRefusedError`; also when the pod has no process any more.
        """
        ...

    def logs(self, pod: dict[str, Any], container: str, *, follow: bool, tail: int | None) -> AsyncIterator[bytes]:
        """Give what the container has printed, stdout and stderr, in pieces of any size.

        `tail` is how many of the last lines to begin with, None for all. With `follow` it goes on until the container
        ends; the caller may stop reading at any time. Nothing comes when there is no such log.
        """
        ...
