"""The API's listening socket: TLS, connections, and its faults (killed and started again, stopped and continued)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from aiohttp import web

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Callable

    from kttun.sandbox.api import Api
    from kttun.sandbox.faults import Faults


class ApiServer:
    """Serves an `Api`. `listen` gives a listening socket, each time anew; methods are called in the loop's thread."""

    def __init__(self, api: Api, faults: Faults, listen: Callable[[], socket.socket], tls: ssl.SSLContext) -> None:
        self._faults, self._listen, self._tls = faults, listen, tls
        self._http = web.Server(api.handle, handler_cancellation=True)
        self._socket: socket.socket | None = None
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen and serve, also after `kill`. Raises `OSError` when the address is taken."""
        self._socket = self._listen()
        await self.thaw()

    def kill(self) -> None:
        """Be gone, as after SIGKILL: connections end, new ones are refused. `start` brings it back."""
        self.freeze()
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        self._faults.cut()
        for connection in self._http.connections:
            if connection.transport is not None:
                connection.transport.abort()

    def freeze(self) -> None:
        """Fall silent, as after SIGSTOP: the kernel still takes connections, nobody answers."""
        self._faults.freeze()
        if self._server is not None:
            self._server.close()  # it closes a copy: the listening socket itself stays
            self._server = None

    async def thaw(self) -> None:
        """Go on where it was, as after SIGCONT."""
        self._faults.thaw()
        if self._socket is not None and self._server is None:
            loop = asyncio.get_running_loop()
            self._server = await loop.create_server(self._http, sock=self._socket.dup(), ssl=self._tls)
