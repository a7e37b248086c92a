"""The forwarder's sockets and its thread.

The root helper opens port 53 on the TUN's address and hands the sockets in; from then on they are the forwarder's, and
closed by it. Its thread runs an event loop of its own, so that no busy pump delays a name and no name the pump.
"""

from __future__ import annotations

import asyncio
import threading
from contextlib import ExitStack, suppress
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final

from kttun.errors import EnvironmentFaultError
from kttun.names.answering import Answerer
from kttun.names.conversation import converse
from kttun.names.upstreams import Patience

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

    from kttun.names.answering import NameCounters
    from kttun.names.plan import Address, ForwarderPlan

MAX_CONNECTIONS: Final = 64
_STOP_S: Final = 5.0


class Forwarder:
    """Serves DNS on `udp` and `tcp` sockets (bound, TCP ones listening) by `plan`; the sockets are its own from now on.

    `start`, `stop`, `adopt` and `counters` may be called from any thread. A server of the plan that is one of the
    sockets handed in is left out: asking ourselves would go round for ever.
    """

    def __init__(
        self,
        plan: ForwarderPlan,
        udp: Sequence[socket.socket],
        tcp: Sequence[socket.socket],
        *,
        patience: Patience | None = None,
    ) -> None:
        self._udp, self._tcp = tuple(udp), tuple(tcp)
        self._own = frozenset(_name_of(sock) for sock in (*self._udp, *self._tcp))
        self._answerer = Answerer(plan.without(self._own), patience or Patience())
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ending = asyncio.Event()
        self._ready = threading.Event()
        self._fault: Exception | None = None
        self._connections = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._run, name="kttun-names", daemon=True)

    def start(self) -> None:
        """Serve from now on; call once. Raises `EnvironmentFaultError` when a socket cannot be served."""
        self._thread.start()
        self._ready.wait()
        if self._fault is not None:
            self._thread.join()
            raise EnvironmentFaultError(f"DNS forwarder cannot serve its sockets: {self._fault}") from self._fault

    def stop(self) -> None:
        """End the thread and close the sockets; queries under way get no answer. Does nothing the second time."""
        if self._thread.ident is None:
            self._close()
            return
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop is closed: the thread has ended already
                self._loop.call_soon_threadsafe(self._ending.set)
        self._thread.join(_STOP_S)

    def adopt(self, plan: ForwarderPlan) -> None:
        """Follow `plan` from the next query on."""
        self._answerer.adopt(plan.without(self._own))

    def counters(self) -> NameCounters:
        """Give the counters as they stand now."""
        return self._answerer.snapshot()

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except (OSError, ValueError) as error:  # a socket of the wrong kind is a ValueError to asyncio
            self._fault = error
        finally:
            self._close()
            self._ready.set()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        with ExitStack() as ends:
            for sock in self._udp:
                ends.callback((await self._receive(sock)).close)
            for sock in self._tcp:
                ends.callback((await asyncio.start_server(self._accepted, sock=sock)).close)
            self._ready.set()
            await self._ending.wait()

    def _close(self) -> None:
        for sock in (*self._udp, *self._tcp):
            sock.close()

    async def _receive(self, sock: socket.socket) -> asyncio.DatagramTransport:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(lambda: _Datagrams(self._datagram), sock=sock)
        return transport

    def _datagram(self, transport: asyncio.DatagramTransport, query: bytes, client: Any) -> None:
        task = asyncio.create_task(self._answer(transport, query, client))
        self._tasks.add(task)  # the loop itself holds tasks only weakly
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, transport: asyncio.DatagramTransport, query: bytes, client: Any) -> None:
        answer = await self._answerer.answer(query, stream=False)
        if answer is not None:
            transport.sendto(answer, client)

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections += 1
        try:
            if self._connections <= MAX_CONNECTIONS:
                await converse(self._answerer, reader, writer)
        finally:
            self._connections -= 1
            writer.close()


class _Datagrams(asyncio.DatagramProtocol):
    """Hands each datagram on, together with the transport to answer by."""

    def __init__(self, handler: Any) -> None:
        self._handler = handler

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self._handler(self._transport, data, addr)


def _name_of(sock: socket.socket) -> tuple[Address, int]:
    host, port, *_ = sock.getsockname()
    return ip_address(host), port
