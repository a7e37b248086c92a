"""The parts of the cluster that tests take away and bring back, by the words of `kttun sandbox fault`."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

from kttun.errors import EnvironmentFaultError, UsageError
from kttun.sandbox.api import Api
from kttun.sandbox.faults import Faults
from kttun.sandbox.server import ApiServer
from kttun.sandbox.shape import API_PORT, DOMAIN, NODE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from kttun.sandbox.kubelet import Kubelet
    from kttun.sandbox.pki import Authority
    from kttun.sandbox.podlife import Ground
    from kttun.sandbox.registry import Registry
    from kttun.sandbox.users import Authenticator

    Act = Callable[[], Awaitable[None] | None]

BACK_S = 0.2
"""How long after its end a killed part comes back when nobody keeps it away."""
KUBELET_PORT = 10250

NAMES = ("kubernetes", "kubernetes.default", "kubernetes.default.svc", f"kubernetes.default.svc.{DOMAIN}", NODE)
"""What the API server is called inside a cluster."""


class Components:
    """API server, kubelet, container runtime, and whether new pods forward packets."""

    def __init__(
        self,
        *,
        registry: Registry,
        authority: Authority,
        authenticator: Authenticator,
        kubelet: Kubelet,
        ground: Ground,
    ) -> None:
        shape = ground.shape
        address = str(shape.node)
        faults = Faults(f"{address}:{KUBELET_PORT}")
        api = Api(registry, authenticator, kubelet, faults)
        tls = authority.server_context(NAMES, [address, str(shape.api_service)])
        self._api = ApiServer(api, faults, lambda: _listen(address), tls)
        self._acts: dict[tuple[str, str], Act] = {
            ("kill", "apiserver"): self._kill_api,
            ("away", "apiserver"): self._api.kill,
            ("restart", "apiserver"): self._restart_api,
            ("stop", "apiserver"): self._api.freeze,
            ("cont", "apiserver"): self._api.thaw,
            ("kill", "kubelet"): lambda: _blink(faults.take_kubelet, faults.give_kubelet),
            ("away", "kubelet"): faults.take_kubelet,
            ("restart", "kubelet"): faults.give_kubelet,
            ("kill", "containerd"): lambda: _blink(faults.take_runtime, faults.give_runtime),
            ("away", "containerd"): faults.take_runtime,
            ("restart", "containerd"): faults.give_runtime,
            ("stop", "forwarding"): lambda: setattr(ground, "forwarding", False),
            ("cont", "forwarding"): lambda: setattr(ground, "forwarding", True),
        }

    async def start_api(self) -> None:
        """Let the API server listen. Raises `EnvironmentFaultError` when its address is taken."""
        try:
            await self._api.start()
        except OSError as error:
            raise EnvironmentFaultError(f"the API server cannot listen: {error.strerror}") from error

    async def fault(self, verb: str, component: str) -> None:
        """Do what tests ask for. Raises `UsageError` for what this part cannot do."""
        act = self._acts.get((verb, component))
        if act is None:
            verbs = ", ".join(known for known, part in self._acts if part == component)
            raise UsageError(f"no fault '{verb}' of {component}", f"known: {verbs}")
        if (waited := act()) is not None:
            await waited

    async def _kill_api(self) -> None:
        self._api.kill()
        await asyncio.sleep(BACK_S)
        await self._api.start()

    async def _restart_api(self) -> None:
        """Let it run, whatever it did before: stopped, away, or serving."""
        await self._api.stop()
        await self._api.start()


async def _blink(take: Callable[[], None], give: Callable[[], None]) -> None:
    take()
    await asyncio.sleep(BACK_S)
    give()


def _listen(address: str) -> socket.socket:
    return socket.create_server((address, API_PORT), backlog=128)
