"""Names that exist right now, for completion: of sessions here, of contexts, namespaces and Services there."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from kttun.errors import KttunError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kttun.config import ClusterChoice

    Names = Callable[[ClusterChoice], list[str]]

PATIENCE_S = 1.0
"""How long a person waits for a key: an API server that needs more than that gives no names."""


def in_time(names: Callable[[], list[str]], patience_s: float = PATIENCE_S) -> list[str]:
    """Give what `names` finds within `patience_s` seconds, else nothing, whatever happens in there.

    A thread that hangs is left behind: this process is about to end, and its children (a credential plugin that waits
    for a login) are ended with it.
    """
    found: list[str] = []

    def look() -> None:
        with suppress(KttunError):
            found.extend(names())

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    thread.join(patience_s)
    if thread.is_alive():
        _end_children()
        return []
    return found


def _end_children(tasks: Path = Path("/proc/self/task")) -> None:
    """Ask the programs that we started to end (proc(5), /proc/pid/task/tid/children)."""
    with suppress(OSError):
        children = [pid for task in tasks.iterdir() for pid in (task / "children").read_text().split()]
        for pid in children:
            os.kill(int(pid), signal.SIGTERM)


def _sessions(_choice: ClusterChoice) -> list[str]:
    from kttun.commands.sessions import found_sessions  # noqa: PLC0415

    return [session.name for session in found_sessions()]


def _contexts(choice: ClusterChoice) -> list[str]:
    from kttun.cluster.names import context_names  # noqa: PLC0415

    return context_names(choice, os.environ)


def _namespaces(choice: ClusterChoice) -> list[str]:
    from kttun.cluster.names import namespace_names  # noqa: PLC0415

    return namespace_names(choice, os.environ)


def _services(choice: ClusterChoice) -> list[str]:
    from kttun.cluster.names import service_names  # noqa: PLC0415

    return service_names(choice, os.environ)


LIVE_NAMES: Mapping[str, Names] = {
    "session": _sessions,
    "context": _contexts,
    "namespace": _namespaces,
    "NS": _namespaces,
    "SVC": _services,
}
"""By an option's destination, or by what the help calls its place."""
