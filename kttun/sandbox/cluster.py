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
from kttun.sandbox import bootstrap, kubeconfig
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
from kttun.sandbox.images import Images
from kttun.sandbox.kinds import DEPLOYMENTS, SERVICE_ACCOUNTS
from kttun.sandbox.kubelet import Kubelet
from kttun.sandbox.lifecycle import KUBECONFIGS
from kttun.sandbox.names import Names
from kttun.sandbox.nameserver import serve_names
from kttun.sandbox.pki import Authority
from kttun.sandbox.podlife import Ground
from kttun.sandbox.proxy import ServiceProxy
from kttun.sandbox.registry import Registry
from kttun.sandbox.settings import Settings
from kttun.sandbox.shape import API_PORT, RUN
from kttun.sandbox.store import Store
from kttun.sandbox.users import MASTERS, Authenticator

if TYPE_CHECKING:
    import socket
    from collections.abc import Coroutine, Iterable

    from kttun.sandbox.bootstrap import Made
    from kttun.sandbox.controllers.loop import Controller
    from kttun.sandbox.kinds import Kind
    from kttun.sandbox.store import Object

TOKEN_S = 365 * 86400
"""How long the token of `dev` is good: longer than any sandbox lives."""


class Cluster:
    """One practice cluster; lives in its namespaces and talks to the runtime by a socket."""

    def __init__(self, settings: Settings, runtime: socket.socket) -> None:
        self._settings = settings
        self._shape = shape = settings.shape
        self._store = Store()
        self._registry = Registry(self._store, shape.service_cidr)
        self._authority = Authority()
        self._authenticator = Authenticator(self._store, ec.generate_private_key(ec.SECP256R1()))
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
            self._write_kubeconfigs()
            await self._examples_ready()
            await self._proxy.settled()
            _tell("ready")

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
        return self._registry.create(kind, obj).found

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

    def _write_kubeconfigs(self) -> None:
        server = f"https://{self._shape.node}:{API_PORT}"
        common = {"server": server, "authority": self._authority.pem}
        certificate, key = self._authority.user("admin", [MASTERS])
        credentials = {"client-certificate-data": certificate, "client-key-data": key}
        kubeconfig.write(KUBECONFIGS["admin"], "admin", namespace="default", **common, **credentials)
        account = self._store.find(SERVICE_ACCOUNTS, bootstrap.DEV_PLACE, bootstrap.DEV)
        if account is not None:
            token, _ = self._authenticator.token(account, TOKEN_S)
            kubeconfig.write(KUBECONFIGS["dev"], bootstrap.DEV, namespace=bootstrap.DEV_PLACE, **common, token=token)
        for path in KUBECONFIGS.values():
            if path.exists():
                os.chown(path, self._settings.uid, self._settings.gid)


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
