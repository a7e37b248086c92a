"""The container runtime's half of the kernel work, in a process of its own: pods' networks, containers, their ends.

It is forked from the node before anything else happens there and stays single-threaded, so that it may fork containers
without an event loop, locks or a TLS server in the child. Its children are the containers: it hears of their ends.

    node -> runtime   {"do": "pod" | "run" | "kill" | "forget", ...}, for `run` with the log's descriptor
    runtime -> node   {"done": ..., ...} in the order of the requests, for `pod` with the network's descriptor
                      {"exited": CONTAINER, "code": N} whenever one ends

Each message is one datagram of JSON on a SOCK_SEQPACKET socket. End of file ends the runtime.
"""

from __future__ import annotations

import errno
import json
import os
import selectors
import signal
import socket
import sys
from contextlib import suppress
from ipaddress import IPv4Address
from typing import TYPE_CHECKING, Any

from kttun.errors import KttunError
from kttun.sandbox.container import ContainerSpec, become
from kttun.sandbox.namespaces import NEWPID, inside, new_network, own, setns, unshare
from kttun.sandbox.network import connect_pod, set_forwarding, set_up_node

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kttun.sandbox.shape import Shape

DATAGRAM = 1 << 18
"""Bytes that a message may have: an environment is the largest part of it."""


class Runtime:
    """Serves the requests that come by `node`, a SOCK_SEQPACKET socket, until its other end is closed."""

    def __init__(self, node: socket.socket, shape: Shape) -> None:
        self._node = node
        self._shape = shape
        self._home = own("pid")
        self._networks: dict[str, int] = {}
        self._containers: dict[int, str] = {}
        """Running containers by pid."""
        self._lines = 0

    def serve(self) -> None:
        """Set up the node's network, then serve; does not return before the node is gone."""
        woken, wake = socket.socketpair()
        wake.setblocking(False)  # noqa: FBT003 - the socket's own parameter
        signal.set_wakeup_fd(wake.fileno())
        signal.signal(signal.SIGCHLD, lambda *_: None)
        set_up_node(self._shape)
        self._tell({"done": "node"})
        with selectors.DefaultSelector() as selector:
            selector.register(self._node, selectors.EVENT_READ)
            selector.register(woken, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select():
                    if key.fileobj is woken:
                        woken.recv(64)
                        self._reap()
                    elif not self._serve_one():
                        return

    def _serve_one(self) -> bool:
        data, descriptors, _, _ = socket.recv_fds(self._node, DATAGRAM, 1)
        if not data:
            return False
        request = json.loads(data)
        try:
            answer = getattr(self, f"_do_{request.pop('do')}")(request, descriptors)
        except (OSError, KttunError) as error:
            answer = {"failed": str(error)}
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        given = [answer.pop("descriptor")] if "descriptor" in answer else []
        self._tell({"done": True, **answer}, *given)
        return True

    def _do_pod(self, request: dict[str, Any], _: list[int]) -> dict[str, Any]:
        network = new_network()
        try:
            self._lines += 1
            connect_pod(network, f"pod{self._lines}", IPv4Address(request["address"]), self._shape)
            with inside(network):
                set_forwarding(on=request["forwarding"])
        except BaseException:
            os.close(network)
            raise
        self._networks[request["pod"]] = network
        return {"descriptor": network}

    def _do_forget(self, request: dict[str, Any], _: list[int]) -> dict[str, Any]:
        if (network := self._networks.pop(request["pod"], None)) is not None:
            os.close(network)
        return {}

    def _do_run(self, request: dict[str, Any], descriptors: list[int]) -> dict[str, Any]:
        spec = ContainerSpec(**request | {"command": tuple(request["command"])})
        heard, said = os.pipe()
        # The next child is the first process of a new PID namespace; from our own one, since they only nest.
        setns(self._home, NEWPID)
        unshare(NEWPID)
        pid = os.fork()
        if pid == 0:
            _run(spec, self._networks[spec.pod], descriptors[0], said)
        os.close(said)
        with os.fdopen(heard, "rb") as failure:
            why = failure.read().decode(errors="replace")
        self._containers[pid] = spec.id
        return {"failed": why} if why else {}

    def _do_kill(self, request: dict[str, Any], _: list[int]) -> dict[str, Any]:
        for pid, container in self._containers.items():
            if container == request["id"]:
                os.kill(pid, request["signal"])
        return {}

    def _reap(self) -> None:
        """Tell of every child that has ended."""
        with suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    return
                if (container := self._containers.pop(pid, None)) is not None:
                    code = os.waitstatus_to_exitcode(status)
                    self._tell({"exited": container, "code": code if code >= 0 else 128 - code})

    def _tell(self, message: Mapping[str, Any], *descriptors: int) -> None:
        with suppress(BrokenPipeError):  # the node ends, and with it we
            socket.send_fds(self._node, [json.dumps(message).encode()], list(descriptors))


def _run(spec: ContainerSpec, network: int, log: int, said: int) -> None:
    """Be the container, in the child; does not return. What keeps it from starting goes to `said`."""
    code = 128
    try:
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGPIPE):
            signal.signal(number, signal.SIG_DFL)
        os.setsid()
        nothing = os.open(os.devnull, os.O_RDONLY)
        for descriptor, standard in ((nothing, 0), (log, 1), (log, 2)):
            os.dup2(descriptor, standard)
        become(spec, network)
        match spec.command:
            case ("example", name):
                code = _run_example(name, spec, said)
            case command:
                os.execvpe(command[0], command, spec.environment)  # noqa: S606 - a pod's command, as it is given
    except OSError as error:
        what = f"exec: {spec.command[0]}: " if error.errno in {errno.ENOENT, errno.EACCES} else ""
        os.write(said, f"{what}{error.strerror}: {error.filename}".encode())
    finally:
        os._exit(code)


def _run_example(name: str, spec: ContainerSpec, said: int) -> int:
    """Run a program of ours without a new interpreter, which spares a hundred milliseconds a pod."""
    from kttun.sandbox.examples import run  # noqa: PLC0415

    os.environ.clear()
    os.environ.update(spec.environment)
    os.closerange(3, said)
    os.closerange(said, 1024)
    sys.stdout = open(1, "w", buffering=1, encoding="utf-8", closefd=False)  # noqa: SIM115 - lives as long as we
    try:
        return run(name)
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else 1
