"""The sandbox's control socket: VERB COMPONENT on a line in, one line of JSON out. Only root reaches it.

It breaks a part of the cluster or puts it right, as tests want it.
"""

from __future__ import annotations

import asyncio
import json
import socket
from typing import TYPE_CHECKING

from kttun.errors import EnvironmentFaultError, NoSuchSessionError, UsageError
from kttun.sandbox.shape import RUN

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    Act = Callable[[], Awaitable[None] | None]

SOCKET = RUN / "control.sock"
_ANSWER_S = 10.0


async def serve_control(acts: Mapping[tuple[str, str], Act]) -> None:
    """Begin to listen; `acts` are what can be done, by verb and component."""

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        verb, _, component = (await reader.readline()).decode(errors="replace").strip().partition(" ")
        act = acts.get((verb, component))
        if act is not None and (waited := act()) is not None:
            await waited
        known = [verb for verb, part in acts if part == component]
        writer.write(json.dumps({"done": act is not None, "known": known}).encode() + b"\n")
        writer.close()

    await asyncio.start_unix_server(converse, SOCKET)
    SOCKET.chmod(0o600)


def tell(verb: str, component: str) -> None:
    """Tell a running sandbox to break something, and wait until it is done. Raises `KttunError`."""
    with socket.socket(socket.AF_UNIX) as control:
        control.settimeout(_ANSWER_S)
        try:
            control.connect(str(SOCKET))
            control.sendall(f"{verb} {component}\n".encode())
            answer = json.loads(control.makefile().readline())
        except (FileNotFoundError, ConnectionRefusedError):
            raise NoSuchSessionError("no sandbox is running", "sudo kttun sandbox start") from None
        except PermissionError:
            raise EnvironmentFaultError("only root may talk to the sandbox", "run it by sudo") from None
        except (OSError, ValueError) as error:
            raise EnvironmentFaultError(f"the sandbox does not answer: {error}", "sudo kttun sandbox stop") from error
    if not answer["done"]:
        raise UsageError(f"no fault '{verb}' of {component}", f"known: {', '.join(answer['known'])}")
