"""The sandbox of `kttun sandbox start`, which this run starts for itself, on a laptop that it makes for itself."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from ipaddress import ip_network
from pathlib import Path
from typing import TYPE_CHECKING

from .tokens import expired
from .world import World

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

KTTUN = Path(sys.executable).with_name("kttun")
ENDS = Path(__file__).with_name("ends.py")
IMAGES = {"kttun.test/workload:1": shlex.join([sys.executable, str(ENDS)]), "kttun.test/pause:1": "sleep infinity"}
"""What the images of scripts/cluster are here."""
STATE = Path("/run/kttun-sandbox")
"""Where the sandbox keeps its files, in the world."""
LAN = "192.168.77.0/24"  # scripts/lab/settings.sh
USUAL = {"NODE_NET": "172.30.0.0/24", "POD_CIDR": "10.244.0.0/16", "SERVICE_CIDR": "10.96.0.0/16"}
"""The networks of scripts/cluster."""


class Sandbox:
    """A `Provider` that needs root, and neither Go nor anything built."""

    name = "sandbox"

    def __init__(self) -> None:
        self._world: World | None = None

    @property
    def run(self) -> Path:
        return self._there.run

    @property
    def laptop_net(self) -> Path:
        return self._there.network("laptop")

    @property
    def node_net(self) -> Path:
        node = self._there.find(lambda each: "kttun.sandbox" in each.words and "pods" in each.links)
        return Path("/proc", str(node.pid), "ns", "net")

    @contextmanager
    def available(self) -> Iterator[None]:
        with self._up(USUAL, "laptop"):
            yield

    def provide_images(self) -> None:
        """The gateway runs from the code as it is."""

    def fault(self, verb: str, component: str) -> None:
        self._kttun("fault", verb, component)

    def leaks(self, *, reset: bool = False) -> str:
        script = Path(__file__).resolve().parents[2] / "scripts" / "lab" / "leaks.sh"
        # Its exit code says whether there are any.
        return self._there.execute(script, *(["--reset"] if reset else [])).stdout

    @contextmanager
    def reshaped(self, *, node_net: str, pod_cidr: str) -> Iterator[None]:
        usual = self._world
        with self._up(USUAL | {"NODE_NET": node_net, "POD_CIDR": pod_cidr}, "lan"):
            yield
        self._world = usual

    @contextmanager
    def pods_do_not_forward(self) -> Iterator[None]:
        self._kttun("fault", "stop", "forwarding")
        yield
        self._kttun("fault", "cont", "forwarding")

    def expired(self, token: str) -> str:
        return expired(token, self._there.path(STATE / "service-accounts.key").read_bytes())

    def carriers(self, gateway: Path) -> Sequence[tuple[Path, str]]:
        """Between the API server's TLS and the gateway there is one process, which connects in the pod."""
        return [(gateway, "lo")]

    @contextmanager
    def router(self, network: str, pod: Path, address: str) -> Iterator[Path]:
        """Each pod hangs on a line of its own: between the pod and all others lies the node."""
        _within(pod, "sysctl", "-qw", "net.ipv4.ip_forward=1")
        _within(self.node_net, "ip", "route", "add", network, "via", address)
        try:
            yield pod
        finally:
            _within(self.node_net, "ip", "route", "delete", network, "via", address)
            _within(pod, "sysctl", "-qw", "net.ipv4.ip_forward=0")

    def is_workload(self, words: Sequence[str]) -> bool:
        return str(ENDS) in words

    @property
    def _there(self) -> World:
        assert self._world, "the sandbox is not up"
        return self._world

    @contextmanager
    def _up(self, shape: dict[str, str], line: str) -> Iterator[None]:
        """Have a world with a sandbox whose line to its machine ends in one of the world's networks."""
        directory = Path(tempfile.mkdtemp(prefix="kttun-e2e-"))
        self._world = world = World(directory, shape)
        try:
            images = [word for name, command in IMAGES.items() for word in ("--image", f"{name}={command}")]
            networks = [f"--{name.lower().replace('_', '-')}={value}" for name, value in shape.items()]
            self._kttun("start", "--no-examples", *networks, *images, network=line)
            # The sandbox keeps what is meant for it from going elsewhere; here it shall be seen where it goes.
            world.execute("ip", "route", "flush", "type", "unreachable", network=line)
            if line == "lan":
                # The laptop is behind its router then, and the node knows no network but its own.
                _within(
                    self.node_net, "ip", "route", "add", LAN, "via", str(next(ip_network(shape["NODE_NET"]).hosts()))
                )
            shutil.copy(world.path(STATE / "admin.kubeconfig"), world.run / "users" / "admin")
            yield
        finally:
            world.end()
            shutil.rmtree(directory)

    def _kttun(self, *words: str, network: str = "laptop") -> None:
        done = self._there.execute(KTTUN, "sandbox", *words, network=network)
        assert done.returncode == 0, f"kttun sandbox {shlex.join(words)}: {done.stdout}{done.stderr}"


def _within(namespace: Path, *words: str) -> None:
    """Run a program in a network namespace."""
    subprocess.run(["nsenter", f"--net={namespace}", *words], check=True)
