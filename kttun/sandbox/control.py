"""The sandbox's control socket: one line of words in, one line of JSON out. Only root reaches it.

fault VERB COMPONENT    break a part of the cluster or put it right, as tests want it
"""

from __future__ import annotations

import asyncio
import json
import socket
from typing import TYPE_CHECKING, Any

from kttun.errors import EnvironmentFaultError, NoSuchSessionError, UsageError
from kttun.sandbox.shape import RUN

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Handler = Callable[..., Awaitable[None]]

SOCKET = RUN / "control.sock"
_ANSWER_S = 10.0


async def serve_control(handlers: dict[str, Handler]) -> None:
    """Begin to listen; the first word of a line names its handler, which is given the others.

    A `UsageError` that a handler raises is told to whoever asked.
    """

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        words = (await reader.readline()).decode(errors="replace").split()
        answer: dict[str, Any] = {}
        try:
            await handlers[words[0]](*words[1:])
        except UsageError as error:
            answer = {"error": error.message, "hints": error.hints}
        except (LookupError, TypeError):
            answer = {"error": f"the sandbox does not know '{' '.join(words)}'"}
        writer.write(json.dumps(answer).encode() + b"\n")
        writer.close()

    await asyncio.start_unix_server(converse, SOCKET)
    SOCKET.chmod(0o600)


def tell(*words: str) -> None:
    """Tell a running sandbox something, and wait until it is done. Raises `KttunError`."""
    with socket.socket(socket.AF_UNIX) as control:
        control.settimeout(_ANSWER_S)
        try:
            control.connect(str(SOCKET))
            control.sendall(" ".join(words).encode() + b"\n")
            answer = json.loads(control.makefile().readline() or "{}")
        except (FileNotFoundError, ConnectionRefusedError):
            raise NoSuchSessionError("no sandbox is running", "sudo kttun sandbox start") from None
        except PermissionError:
            raise EnvironmentFaultError("only root may talk to the sandbox", "run it by sudo") from None
        except (OSError, ValueError) as error:
            raise EnvironmentFaultError(f"the sandbox does not answer: {error}", "sudo kttun sandbox stop") from error
    if "error" in answer:
        raise UsageError(answer["error"], *answer.get("hints", ()))
