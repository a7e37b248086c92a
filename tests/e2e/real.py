"""The real one-node Kubernetes of scripts/cluster, which somebody has brought up, and its laptop."""

from __future__ import annotations

import fcntl
import os
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from .tokens import expired

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

REPO = Path(__file__).resolve().parents[2]
CLUSTER = REPO / "scripts" / "cluster"
BUILD = REPO / "scripts" / "build-image"
DIRECTORY = Path(os.environ.get("KTTUN_LAB") or Path.home() / ".cache" / "kttun-lab")
BASE = DIRECTORY / "images" / "base.tar"
ARCHIVE = DIRECTORY / "images" / "kttun-gateway.tar"
"""`scripts/cluster up` imports what lies there."""


class RealKubernetes:
    """A `Provider` by the commands of scripts/cluster."""

    name = "real"
    run = DIRECTORY / "run"
    laptop_net = Path("/run/netns/kttun-lab-laptop")
    node_net = Path("/run/netns/kttun-lab-node")

    @contextmanager
    def available(self) -> Iterator[None]:
        with (DIRECTORY / "e2e.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            status = subprocess.run([CLUSTER, "status"], capture_output=True, text=True, check=False)
            if status.returncode:
                hint = "scripts/cluster build && scripts/cluster up"
                pytest.exit(f"the cluster is not up: {status.stdout}\nhint: {hint}", 1)
            yield

    def provide_images(self) -> None:
        """Build the gateway's image if it is older than the code, and load it if the node does not have this one."""
        if not ARCHIVE.exists() or _modified(ARCHIVE) < max(map(_modified, _sources())):
            _run(BUILD, "--base", BASE, "--output", ARCHIVE, seconds=600)
        loaded = self.run / "kttun-gateway.loaded"
        if not loaded.exists() or _modified(loaded) < _modified(ARCHIVE):
            _run(CLUSTER, "load-image", ARCHIVE)
            loaded.touch()

    def fault(self, verb: str, component: str) -> None:
        _run(CLUSTER, "fault", verb, component)

    def leaks(self, *, reset: bool = False) -> str:
        # Its exit code says whether there are any.
        words = [CLUSTER, "leaks", *(["--reset"] if reset else [])]
        return subprocess.run(words, capture_output=True, text=True, timeout=30, check=False).stdout

    @contextmanager
    def reshaped(self, *, node_net: str, pod_cidr: str) -> Iterator[None]:
        lines = (self.run / "parameters").read_text().splitlines()
        usual = [
            f"--{name.lower().replace('_', '-')}={value}" for name, value in (line.split("=", 1) for line in lines)
        ]
        _run(CLUSTER, "up", *usual, f"--node-net={node_net}", f"--pod-cidr={pod_cidr}", "--api-path=gateway")
        yield
        _run(CLUSTER, "up", *usual)

    @contextmanager
    def pods_do_not_forward(self) -> Iterator[None]:
        network = self.run / "config" / "cni" / "10-lab.conflist"
        usual = network.read_text()
        network.write_text(usual.replace('"net.ipv4.ip_forward": "1"', '"net.ipv4.ip_forward": "0"'))
        yield
        network.write_text(usual)

    def expired(self, token: str) -> str:
        return expired(token, (self.run / "pki" / "service-accounts.key").read_bytes())

    def carriers(self, gateway: Path) -> Sequence[tuple[Path, str]]:
        """The kubelet talks to containerd in clear on the node's loopback, and containerd to the gateway in the pod."""
        return [(self.node_net, "lo"), (gateway, "lo")]

    @contextmanager
    def router(self, network: str, pod: Path, address: str) -> Iterator[Path]:
        """All pods hang on one bridge with the node, which is the default gateway of each."""
        yield self.node_net

    def is_workload(self, words: Sequence[str]) -> bool:
        return list(words) == ["ends", "serve"]


def _run(*words: str | Path, seconds: float = 120) -> None:
    done = subprocess.run(words, capture_output=True, text=True, timeout=seconds, check=False, cwd=REPO)
    assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"


def _sources() -> Iterator[Path]:
    yield from (BUILD, BASE, REPO / "gateway-image" / "Dockerfile", REPO / "pyproject.toml")
    yield from (REPO / "kttun").rglob("*.py")


def _modified(path: Path) -> float:
    return path.stat().st_mtime
