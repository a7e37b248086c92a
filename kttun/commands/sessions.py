"""Finding the sessions of this machine: each has one control socket, and nothing else needs to be remembered."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kttun.errors import NoSuchSessionError, RefusedError, UsageError
from kttun.link.control import ask

if TYPE_CHECKING:
    from argparse import Namespace

RUNTIME = Path("/run/kttun")
SUFFIX = ".sock"
ANSWER_S = 5.0


@dataclass(frozen=True, slots=True)
class Found:
    """A session by its control socket."""

    name: str
    path: Path

    def ask(self, op: str) -> dict[str, Any]:
        """Ask the session.

        Raises `NoSuchSessionError` when it is dead, `TunnelError` when it does not answer, and `RefusedError` when it
        is another user's.
        """
        # connect(2) asks for the right to write (unix(7)); without it nothing can be said about who listens.
        if self.path.exists() and not os.access(self.path, os.W_OK):
            raise RefusedError(f"session {self.name} belongs to another user", "root may ask: sudo kttun ...")
        return ask(self.path, op, ANSWER_S)


def found_sessions(wanted: str | None = None) -> list[Found]:
    """Give the sessions whose sockets exist, all or the one named; some may be dead."""
    if not RUNTIME.is_dir():
        return []
    every = [Found(path.name.removesuffix(SUFFIX), path) for path in sorted(RUNTIME.glob(f"*{SUFFIX}"))]
    return [session for session in every if wanted in (None, session.name)]


def the_session(options: Namespace) -> Found:
    """Give the one session that is meant: the one named, or the only one.

    Raises `NoSuchSessionError`, or `UsageError` when there are several and none is named.
    """
    wanted = options.session or options.namespace
    found = found_sessions(wanted)
    if not found:
        what = f"no session {wanted}" if wanted else "no session is running"
        raise NoSuchSessionError(what, "kttun status shows what runs, sudo kttun up NAMESPACE begins one")
    if len(found) > 1:
        names = ", ".join(session.name for session in found)
        raise UsageError(f"several sessions are running: {names}", "name one with --session")
    return found[0]
