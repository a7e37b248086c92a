"""A practice cluster's API on loopback, without pods of its own: what a pod says is scripted."""

import asyncio
import base64
import socket
import threading
from contextlib import contextmanager
from ipaddress import IPv4Network

import yaml
from cryptography.hazmat.primitives.asymmetric import ec

from kttun.cluster.login import log_in
from kttun.cluster.rest import Rest
from kttun.config import ClusterChoice
from kttun.sandbox.api import Api
from kttun.sandbox.faults import Faults
from kttun.sandbox.kinds import NAMESPACES
from kttun.sandbox.pki import Authority
from kttun.sandbox.registry import Registry
from kttun.sandbox.server import ApiServer
from kttun.sandbox.store import Store
from kttun.sandbox.users import Authenticator

NETWORK = IPv4Network("10.96.0.0/16")


class Runtime:
    """Pods whose ports are the machine's own on loopback, and whose logs are in `printed`."""

    def __init__(self):
        self.printed = {}
        self.asked = []

    async def dial(self, pod, port):
        sock = socket.socket()
        sock.setblocking(False)
        try:
            await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
        except OSError:
            sock.close()
            raise
        return sock

    async def logs(self, pod, container, *, follow, tail):
        self.asked.append((pod["metadata"]["name"], container, follow, tail))
        for piece in self.printed.get((pod["metadata"]["name"], container), ()):
            yield piece


class Practice:
    """The API in a thread of its own; `call` runs something in its loop."""

    def __init__(self, folder):
        self._folder = folder
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()
        self.call(self._start)

    def call(self, function, *words, **more):
        async def run():
            found = function(*words, **more)
            return await found if asyncio.iscoroutine(found) else found

        return asyncio.run_coroutine_threadsafe(run(), self.loop).result(30)

    async def _start(self):
        self.store = Store()
        self.registry = Registry(self.store, NETWORK)
        self.runtime, self.faults = Runtime(), Faults("172.30.0.2:10250")
        self.authority = Authority()
        self.authenticator = Authenticator(self.store, ec.generate_private_key(ec.SECP256R1()))
        self.port = 0
        api = Api(self.registry, self.authenticator, self.runtime, self.faults)
        tls = self.authority.server_context(["kubernetes"], ["127.0.0.1"])
        self.server = ApiServer(api, self.faults, self._listen, tls)
        await self.server.start()

    def _listen(self):
        sock = socket.create_server(("127.0.0.1", self.port))
        self.port = sock.getsockname()[1]
        return sock

    def close(self):
        self.call(self.server.kill)
        self.faults.thaw()
        self.call(self.server._http.shutdown, 1)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(10)
        self.loop.close()

    def create(self, kind, obj, **more):
        """Make an object as the API would."""
        return self.call(self.registry.create, kind, obj, **more)

    def namespace(self, name, **labels):
        self.create(NAMESPACES, {"metadata": {"name": name, "labels": labels}})

    def kubeconfig(self, name="admin", groups=("system:masters",), *, user=None, namespace="shop"):
        """Write a kubeconfig; give its path."""

        def data(text):
            return base64.b64encode(text).decode()

        if user is None:
            certificate, key = self.authority.user(name, groups)
            user = {"client-certificate-data": data(certificate), "client-key-data": data(key)}
        cluster = {"server": f"https://127.0.0.1:{self.port}", "certificate-authority-data": data(self.authority.pem)}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "it",
            "contexts": [{"name": "it", "context": {"cluster": "it", "user": name, "namespace": namespace}}],
            "clusters": [{"name": "it", "cluster": cluster}],
            "users": [{"name": name, "user": user}],
        }
        path = self._folder / f"{name}.yaml"
        path.write_text(yaml.safe_dump(config))
        return path

    def login(self, *words, **more):
        return log_in(ClusterChoice(kubeconfig=self.kubeconfig(*words, **more)), {})

    def rest(self, *words, **more):
        return Rest(self.login(*words, **more).api)

    def token(self, account):
        return self.call(self.authenticator.token, account)


@contextmanager
def listening(serve):
    """Run `serve(connection)` in a thread for each connection to a port of loopback; give the port."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept():
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                threading.Thread(target=serve, args=(connection,), daemon=True).start()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        thread.join(10)
