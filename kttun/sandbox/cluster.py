"""The practice cluster put together: store, API, controllers, kubelet, Service proxy and DNS in one event loop."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import traceback
from contextlib import suppress
from typing import TYPE_CHECKING, NoReturn

from cryptography.hazmat.primitives.asymmetric import ec

from kttun.errors import EnvironmentFaultError, KttunError
from kttun.sandbox import bootstrap, handouts
from kttun.sandbox.api import Api
from kttun.sandbox.control import serve_control
from kttun.sandbox.controllers.deployments import DeploymentController
from kttun.sandbox.controllers.endpoints import EndpointsController
from kttun.sandbox.controllers.garbage import GarbageCollector
from kttun.sandbox.controllers.jobs import JobController
from kttun.sandbox.controllers.loop import keep
from kttun.sandbox.controllers.scheduler import Scheduler
from kttun.sandbox.cri import Cri
from kttun.sandbox.examples import objects as examples
from kttun.sandbox.faults import BACK_S, Faults
from kttun.sandbox.images import Images
from kttun.sandbox.kinds import DEPLOYMENTS, SERVICE_ACCOUNTS
from kttun.sandbox.kubelet import Kubelet
from kttun.sandbox.lifecycle import DEV
from kttun.sandbox.names import Names, serve_names
from kttun.sandbox.pki import Authority
from kttun.sandbox.podlife import Ground
from kttun.sandbox.proxy import ServiceProxy
from kttun.sandbox.registry import Registry
from kttun.sandbox.server import ApiServer
from kttun.sandbox.settings import Settings
from kttun.sandbox.shape import API_PORT, DOMAIN, NODE, RUN
from kttun.sandbox.store import Store
from kttun.sandbox.users import Authenticator

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable

    from kttun.sandbox.bootstrap import Made
    from kttun.sandbox.control import Act
    from kttun.sandbox.controllers.loop import Controller

KUBELET_PORT = 10250
DEV_TOKEN_S = 365 * 86400
"""How long the token of `dev` is good: longer than any sandbox lives."""
NAMES = ("kubernetes", "kubernetes.default", "kubernetes.default.svc", f"kubernetes.default.svc.{DOMAIN}", NODE)
"""What the API server is called inside a cluster."""


class Cluster:
    """One practice cluster; lives in its namespaces and talks to the runtime by a socket."""

    def __init__(self, settings: Settings, runtime: socket.socket) -> None:
        self._settings, self._shape = settings, settings.shape
        self._store = Store()
        self._registry = Registry(self._store, self._shape.service_cidr)
        self._token_key = ec.generate_private_key(ec.SECP256R1())
        self._authority = Authority()
        self._authenticator = Authenticator(self._store, self._token_key)
        self._cri = Cri(runtime)
        self._ground = Ground(
            store=self._store,
            cri=self._cri,
            images=Images(settings.images),
            shape=self._shape,
            files=RUN / "pods",
        )
        self._kubelet = Kubelet(self._ground)
        self._proxy = ServiceProxy(self._store, self._shape.service_cidr)
        self._faults = Faults(f"{self._shape.node}:{KUBELET_PORT}")
        api = Api(self._registry, self._authenticator, self._kubelet, self._faults)
        tls = self._authority.server_context(NAMES, [str(self._shape.node), str(self._shape.api_service)])
        self._server = ApiServer(api, self._faults, self._listen, tls)

    async def run(self) -> None:
        """Run without end; says on stdout when everything is ready. Raises `KttunError` when something cannot start."""
        self._make(bootstrap.system(self._shape))
        if self._settings.examples:
            self._make([*examples.namespaces(), *bootstrap.developer(), *examples.workloads()])
        await self._cri.node_ready()
        async with asyncio.TaskGroup() as group:
            for work in self._work():
                group.create_task(work)
            await self._server.start()
            await serve_names(Names(self._store), str(self._shape.gateway))
            await serve_control(self._acts())
            self._hand_out()
            await self._examples_ready()
            self._proxy.sync()
            _tell("ready")

    def _hand_out(self) -> None:
        handouts.write_token_key(self._token_key)
        handouts.write_admin(self._settings, self._authority)
        account = self._store.find(SERVICE_ACCOUNTS, bootstrap.DEV_PLACE, DEV)
        if account is not None:
            token = self._authenticator.token(account, DEV_TOKEN_S)
            handouts.write_developer(self._settings, self._authority, token)

    def _work(self) -> Iterable[Coroutine[None, None, None]]:
        controllers: tuple[Controller, ...] = (
            Scheduler(self._store),
            DeploymentController(self._store, self._registry.create),
            JobController(self._store, self._registry.create),
            EndpointsController(self._store),
            GarbageCollector(self._store),
            self._proxy,
        )
        return (self._kubelet.run(), *(keep(self._store, each) for each in controllers))

    def _make(self, objects: Iterable[Made]) -> None:
        for kind, obj in objects:
            self._registry.create(kind, obj)

    async def _examples_ready(self) -> None:
        """Wait until each Deployment has all its pods."""
        waiting = {each["metadata"]["uid"] for each in self._store.list(DEPLOYMENTS)}
        if not waiting:
            return
        async for event in self._store.subscribe(DEPLOYMENTS):
            if event.found["status"].get("readyReplicas", 0) >= event.found["spec"]["replicas"]:
                waiting.discard(event.found["metadata"]["uid"])
            if not waiting:
                return

    def _listen(self) -> socket.socket:
        try:
            return socket.create_server((str(self._shape.node), API_PORT), backlog=128)
        except OSError as error:
            raise EnvironmentFaultError(f"the API server cannot listen: {error.strerror}") from error

    def _acts(self) -> dict[tuple[str, str], Act]:
        """Give what tests may do to the cluster, by the words of `kttun sandbox fault`."""
        return {
            ("kill", "apiserver"): self._kill_api,
            ("stop", "apiserver"): self._server.freeze,
            ("cont", "apiserver"): self._server.thaw,
            ("kill", "kubelet"): self._faults.kill_kubelet,
            ("kill", "containerd"): self._faults.kill_runtime,
            ("stop", "forwarding"): lambda: setattr(self._ground, "forwarding", False),
            ("cont", "forwarding"): lambda: setattr(self._ground, "forwarding", True),
        }

    async def _kill_api(self) -> None:
        self._server.kill()
        await asyncio.sleep(BACK_S)
        await self._server.start()


def run(settings: str, runtime: socket.socket) -> NoReturn:
    """Be the sandbox, whose first process this is; `settings` is a `Settings` as JSON."""
    try:
        asyncio.run(_run(settings, runtime))
    except BaseException as error:  # noqa: BLE001 - whoever waits for us must hear of it, whatever it is
        traceback.print_exc()
        _tell(f"failed {_words(error)}")
    finally:
        sys.stderr.flush()
        os._exit(1)


async def _run(settings: str, runtime: socket.socket) -> None:
    await Cluster(Settings.from_json(settings), runtime).run()


def _tell(line: str) -> None:
    """Tell whoever started us; he listens only until he has heard this."""
    with suppress(OSError):
        os.write(1, f"{line}\n".encode())
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, 1)
        os.close(nothing)


def _words(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error.message if isinstance(error, KttunError) else f"{type(error).__name__}: {error}"
