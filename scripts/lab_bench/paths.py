"""The paths that are compared: each opens, yields where its far end is reached from the laptop, and closes."""

from __future__ import annotations

import re
import signal
import sys
import tempfile
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab_bench.places import (
    ENDS,
    KTTUN,
    LAB,
    LAPTOP,
    NAMESPACE,
    NODE,
    BenchError,
    kubectl,
    node_address,
    output,
    parameters,
    pod_address,
    running,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

STEP = re.compile(r"^\s*(?:[\d.]+ )?\+ (\w+) .*\(([\d.]+) s\)$", re.MULTILINE)
TOTAL = re.compile(r"connected to \S+ in ([\d.]+) s")


@dataclass(frozen=True)
class Target:
    """An open path: `host` runs `ends serve`; TCP always passes, packets (UDP and ping) on some paths only."""

    host: str
    packets: bool
    records: list[dict[str, Any]] = field(default_factory=list)
    """What opening it already told."""

    def can(self, cell: str) -> bool:
        """Tell whether a cell makes sense on this path."""
        return self.packets or not cell.startswith("udp")


@contextmanager
def plain() -> Iterator[Target]:
    """Open nothing: the line between laptop and node, where a server of our own listens."""
    command = ("ip", "netns", "exec", NODE, ENDS, "serve")
    with running(command, lambda _: listens(node_address())):
        yield Target(node_address(), packets=True)


def kubectl_forward(*, websockets: bool) -> Callable[[], AbstractContextManager[Target]]:
    """Give the path through `kubectl port-forward`, over SPDY as ever or SPDY within WebSockets (1.31 on)."""

    @contextmanager
    def forward() -> Iterator[Target]:
        ports = [f"{port}:{port}" for port in (7007, 7008, 7009)]
        command = (*LAPTOP, "kubectl", "port-forward", "-n", NAMESPACE, "deployment/ends", *ports)
        environment = {"KUBECTL_PORT_FORWARD_WEBSOCKETS": str(websockets).lower()}
        with running(command, lambda text: text.count("Forwarding from 127.0.0.1") == len(ports), environment):
            yield Target("127.0.0.1", packets=False)

    return forward


@contextmanager
def kttun() -> Iterator[Target]:
    """Bring a session up, and note how long each step of it took."""
    command = (*LAPTOP, KTTUN, "up", "--color=never", NAMESPACE)
    with running(command, lambda text: bool(TOTAL.search(text)), end=signal.SIGINT) as text:
        steps = {name: float(took) for name, took in STEP.findall(text())}
        steps["total"] = float(TOTAL.findall(text())[0])
        target = Target(pod_address("app=ends"), packets=True)
        target.records.append({"cell": "up", "steps": steps})
        yield target


@contextmanager
def sshuttle() -> Iterator[Target]:
    """Run sshuttle to an sshd in a pod, over `kubectl port-forward`, as peers of kttun do."""
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kttun-bench-")))
        output("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(scratch / "key"))
        stack.enter_context(ssh_pod((scratch / "key.pub").read_text().strip()))
        forward = (*LAPTOP, "kubectl", "port-forward", "-n", NAMESPACE, "pod/bench-sshd", "10022:22")
        websockets_off = {"KUBECTL_PORT_FORWARD_WEBSOCKETS": "false"}
        stack.enter_context(running(forward, lambda text: "Forwarding from 127.0.0.1" in text, websockets_off))
        ssh = f"ssh -i {scratch / 'key'} -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null"
        networks = (parameters()["POD_CIDR"], parameters()["SERVICE_CIDR"])
        words = (program(), "--method=nft", "--remote=root@127.0.0.1:10022", f"--ssh-cmd={ssh}", *networks)
        stack.enter_context(running((*LAPTOP, *words), lambda text: "Connected to server" in text))
        yield Target(pod_address("app=ends"), packets=False)


@contextmanager
def ssh_pod(key: str) -> Iterator[None]:
    """Run sshd in a pod of its own, for one key."""
    manifest = SSH_POD.replace("KEY", key)
    kubectl("apply", "-n", NAMESPACE, "-f", "-", stdin=manifest)
    try:
        kubectl("wait", "-n", NAMESPACE, "--for=condition=Ready", "--timeout=60s", "pod/bench-sshd")
        yield
    finally:
        kubectl("delete", "pod", "-n", NAMESPACE, "bench-sshd", "--grace-period=1", "--wait=true")


SSH_POD = """
apiVersion: v1
kind: Pod
metadata: {name: bench-sshd}
spec:
  terminationGracePeriodSeconds: 1
  automountServiceAccountToken: false
  containers:
  - name: sshd
    image: kttun.test/workload:1
    command: [sh, -c]
    args:
    - |
      mkdir -p /run/sshd /root/.ssh
      echo 'KEY' > /root/.ssh/authorized_keys
      ssh-keygen -A
      exec /usr/sbin/sshd -D -e -o StrictModes=no
    readinessProbe: {tcpSocket: {port: 22}, periodSeconds: 1}
"""


def program() -> str:
    """Return sshuttle's path; it is installed beside the lab's programs when it is missing."""
    place = LAB / "sshuttle"
    if not (place / "bin" / "sshuttle").exists():
        output(sys.executable, "-m", "venv", str(place))
        output(str(place / "bin" / "python"), "-m", "pip", "install", "--quiet", "sshuttle", seconds=300)
    return str(place / "bin" / "sshuttle")


def listens(host: str) -> bool:
    """Tell whether the laptop reaches `ends` there."""
    try:
        output(*LAPTOP, "ends", "rpc", host, "-n", "1", seconds=5)
    except BenchError:
        return False
    return True


PATHS: dict[str, Callable[[], AbstractContextManager[Target]]] = {
    "plain": plain,
    "kubectl-spdy": kubectl_forward(websockets=False),
    "kubectl-websocket": kubectl_forward(websockets=True),
    "sshuttle": sshuttle,
    "kttun": kttun,
}
