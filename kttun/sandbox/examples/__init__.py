"""The programs of the example namespaces: small servers that say who answered, one for each kind of traffic.

They run in pods that are forked from the runtime, so the libraries they share are loaded once for all of them.
"""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING

from kttun.sandbox.examples import rpc, servers

if TYPE_CHECKING:
    from collections.abc import Callable

PROGRAMS: dict[str, Callable[[], None]] = {
    "web": servers.serve_http,
    "websocket": servers.serve_websocket,
    "tcp-echo": servers.serve_tcp,
    "udp-echo": servers.serve_udp,
    "grpc": rpc.serve,
}


def run(name: str) -> int:
    """Be one of the programs until SIGTERM; give the exit code."""
    if name not in PROGRAMS:
        sys.stdout.write(f"no example {name}: {', '.join(PROGRAMS)}\n")
        return 2
    # The first process of a PID namespace has no default action for signals (pid_namespaces(7)).
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    PROGRAMS[name]()
    return 0
