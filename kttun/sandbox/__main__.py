"""`python -m kttun.sandbox`: the sandbox's process, started by `kttun.sandbox.lifecycle`.

It makes the namespaces, becomes their first process, and forks the runtime before anything large is loaded. When this
process ends, whatever ended it, the kernel ends all that is in its PID namespace, and with the last process of a
network namespace its devices: there is nothing to clean up.

    stdin    one line of settings, then one empty line when the line to the machine is laid
    stdout   "pid N" at once, then "ready" or "failed WHY"
"""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

from kttun.sandbox.namespaces import NEWNET, NEWNS, NEWPID, NEWUTS, PRIVATE, REC, mount, sethostname, unshare


def main() -> None:
    """Become the sandbox; does not return before its end."""
    settings = sys.stdin.readline()
    unshare(NEWPID | NEWNET | NEWNS | NEWUTS)
    if pid := os.fork():
        sys.stdout.write(f"pid {pid}\n")
        sys.stdout.flush()
        os._exit(0)
    mount("none", Path("/"), flags=REC | PRIVATE)
    mount("proc", Path("/proc"), "proc")
    sethostname("sandbox")
    node, runtime = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    if os.fork() == 0:
        node.close()
        _be_runtime(runtime, settings)
    runtime.close()
    from kttun.sandbox.cluster import run  # noqa: PLC0415 - large, and not for the runtime

    run(settings, node)


def _be_runtime(node: socket.socket, settings: str) -> None:
    """Be the runtime, which ends with the node."""
    from kttun.sandbox import examples  # noqa: F401, PLC0415 - loaded once, for all the pods that are forked from here
    from kttun.sandbox.runtime import Runtime  # noqa: PLC0415
    from kttun.sandbox.settings import Settings  # noqa: PLC0415

    try:
        sys.stdin.readline()
        Runtime(node, Settings.from_json(settings).shape).serve()
    finally:
        os._exit(1)


if __name__ == "__main__":
    main()
