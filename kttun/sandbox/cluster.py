"""The practice cluster put together: store, API, controllers, kubelet, Service proxy and DNS in one event loop."""

from __future__ import annotations

import asyncio
import os
import sys
import traceback
from contextlib import suppress
from typing import TYPE_CHECKING, NoReturn

from cryptography.hazmat.primitives.asymmetric import ec

from kttun.errors import KttunError
from kttun.sandbox import bootstrap
from kttun.sandbox.components import Components
from kttun.sandbox.control import serve_control
from kttun.sandbox.controllers.deployments import DeploymentController
from kttun.sandbox.controllers.endpoints import EndpointsController
from kttun.sandbox.controllers.garbage import GarbageCollector
from kttun.sandbox.controllers.jobs import JobController
from kttun.sandbox.controllers.loop import keep
from kttun.sandbox.controllers.scheduler import Scheduler
from kttun.sandbox.cri import Cri
from kttun.sandbox.events import Recorder
from kttun.sandbox.examples import objects as examples
from kttun.sandbox.handouts import Handouts
from kttun.sandbox.images import Images
from kttun.sandbox.kinds import DEPLOYMENTS
from kttun.sandbox.kubelet import Kubelet
from kttun.sandbox.names import Names
from kttun.sandbox.nameserver import serve_names
from kttun.sandbox.pki import Authority
from kttun.sandbox.podlife import Ground
from kttun.sandbox.proxy import ServiceProxy
from kttun.sandbox.registry import Registry
from kttun.sandbox.settings import Settings
from kttun.sandbox.shape import RUN
from kttun.sandbox.store import Store
from kttun.sandbox.users import Authenticator

if TYPE_CHECKING:
    import socket
    from collections.abc import Coroutine, Iterable

    from kttun.sandbox.bootstrap import Made
    from kttun.sandbox.controllers.loop import Controller
    from kttun.sandbox.kinds import Kind
    from kttun.sandbox.store import Object


class Cluster:
    """One practice cluster; lives in its namespaces and talks to the runtime by a socket."""

    def __init__(self, settings: Settings, runtime: socket.socket) -> None:
        self._settings = settings
        self._shape = shape = settings.shape
        self._store = Store()
        self._registry = Registry(self._store, shape.service_cidr)
        self._authority = Authority()
        self._token_key = ec.generate_private_key(ec.SECP256R1())
        self._authenticator = Authenticator(self._store, self._token_key)
        self._cri = Cri(runtime)
        self._ground = Ground(
            store=self._store,
            cri=self._cri,
            images=Images(settings.images),
            shape=shape,
            recorder=Recorder(self._store, "kubelet"),
            files=RUN / "pods",
        )
        self._proxy = ServiceProxy(self._store, shape)

    async def run(self) -> None:
        """Run without end; says on stdout when everything is ready. Raises `KttunError` when something cannot start."""
        self._make(bootstrap.system(self._shape))
        if self._settings.examples:
            self._make([*examples.namespaces(), *bootstrap.developer(), *examples.workloads()])
        kubelet = Kubelet(self._ground)
        components = Components(
            registry=self._registry,
            authority=self._authority,
            authenticator=self._authenticator,
            kubelet=kubelet,
            ground=self._ground,
        )
        await self._cri.node_ready()
        async with asyncio.TaskGroup() as group:
            for work in self._work(kubelet):
                group.create_task(work)
            await components.start_api()
            await serve_names(Names(self._store), str(self._shape.gateway))
            await serve_control({"fault": components.fault})
            self._hand_out()
            await self._examples_ready()
            await self._proxy.settled()
            _tell("ready")

    def _hand_out(self) -> None:
        handouts = Handouts(self._settings, self._authority)
        handouts.write_token_key(self._token_key)
        handouts.write_admin()
        handouts.write_developer(self._store, self._authenticator)

    def _work(self, kubelet: Kubelet) -> Iterable[Coroutine[None, None, None]]:
        controllers: tuple[Controller, ...] = (
            Scheduler(self._store),
            DeploymentController(self._store, self._create),
            JobController(self._store, self._create),
            EndpointsController(self._store),
            GarbageCollector(self._store),
            self._proxy,
        )
        return (kubelet.run(), self._proxy.run(), *(keep(self._store, each) for each in controllers))

    def _create(self, kind: Kind, obj: Object) -> Object:
        return self._registry.create(kind, obj)

    def _make(self, objects: Iterable[Made]) -> None:
        for kind, obj in objects:
            self._create(kind, obj)

    async def _examples_ready(self) -> None:
        """Wait until each Deployment has all its pods."""
        waiting = {(each["metadata"]["namespace"], each["metadata"]["name"]) for each in self._store.list(DEPLOYMENTS)}
        if not waiting:
            return
        async for event in self._store.subscribe(DEPLOYMENTS):
            meta, status = event.found["metadata"], event.found.get("status") or {}
            if status.get("readyReplicas", 0) >= event.found["spec"]["replicas"]:
                waiting.discard((meta["namespace"], meta["name"]))
            if not waiting:
                return


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
