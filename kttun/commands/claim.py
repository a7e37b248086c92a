"""One demo at a time, and what a killed one left: a file that its demo holds locked.

The kernel takes a lock back with its process (flock(2)), so a file that nobody locks is a dead demo's. In it stands
which sandbox that demo had started: only that one is ended, and the sessions to it. Any other sandbox or session is
somebody's, who did not ask for a demo.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from kttun.commands import down
from kttun.commands.sessions import found_sessions
from kttun.errors import KttunError, NoSuchSessionError, RefusedError
from kttun.sandbox import lifecycle

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kttun.commands.console import Console
    from kttun.sandbox.lifecycle import Running

MARK = Path("/run/kttun-demo")
PATIENCE_S = 20.0
"""How long another demo may take to end by itself."""


@dataclass(frozen=True, slots=True)
class Mark:
    """What stands in the file: which sandbox (pid and birth), and its API server; None while there is none yet."""

    sandbox: tuple[int, str] | None = None
    server: str | None = None

    @classmethod
    def of(cls, running: Running) -> Self:
        """Name a sandbox that runs."""
        return cls((running.pid, running.state["birth"]), running.state["server"])


class Claim:
    """This machine for one demo."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def write(self, mark: Mark) -> None:
        """Let the next demo know what is ours, should this one be killed."""
        text = json.dumps({"sandbox": mark.sandbox, "server": mark.server}).encode()
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, text, 0)


@contextmanager
def claim(console: Console) -> Iterator[Claim]:
    """Hold the machine for one demo, cleared of what a killed demo left; needs root.

    Raises `RefusedError` when another demo does not end, or when a sandbox or a session runs that no demo started.
    """
    descriptor = _lock(console)
    try:
        _clear(descriptor, console)
        _refuse_if_busy()
        held = Claim(descriptor)
        held.write(Mark())
        yield held
    finally:
        MARK.unlink(missing_ok=True)
        os.close(descriptor)


def _lock(console: Console) -> int:
    until, told = time.monotonic() + PATIENCE_S, False
    while True:
        descriptor = os.open(MARK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            if time.monotonic() > until:
                raise RefusedError("another demo is running", "wait for its end, or end it by Ctrl-C") from None
            if not told:
                console.say("another demo is running: waiting for its end")
            told = True
            time.sleep(0.1)
            continue
        with suppress(FileNotFoundError):  # its holder removed the file while we opened it: ours is nobody's then
            if os.fstat(descriptor).st_ino == MARK.stat().st_ino:
                return descriptor
        os.close(descriptor)


def _clear(descriptor: int, console: Console) -> None:
    """End what a killed demo started, and remove what is left of dead sessions."""
    if (mark := _read(descriptor)) is not None:
        running = lifecycle.running()
        ours = running is not None and _is_of(running, mark, os.fstat(descriptor).st_mtime)
        server = running.state["server"] if running is not None and ours else mark.server
        for session in found_sessions():
            with suppress(KttunError):  # one that does not answer is not known to be ours
                if server is not None and session.ask("status")["server"] == server:
                    down.end(session, console)
        if ours or running is None:
            lifecycle.stop()
        console.say("removed what a demo that was killed had left")
    down.remove_leftovers(console)


def _read(descriptor: int) -> Mark | None:
    """Give what a dead demo wrote; None from a file that is new."""
    text = os.pread(descriptor, 4096, 0)
    if not text:
        return None
    with suppress(ValueError, KeyError, TypeError):
        told: dict[str, Any] = json.loads(text)
        return Mark(tuple(told["sandbox"]) if told["sandbox"] else None, told["server"])
    return Mark()


def _is_of(running: Running, mark: Mark, marked_at: float) -> bool:
    """Say whether it is the marked sandbox; if none is, the one that began right after the mark was made."""
    if mark.sandbox is not None:
        return mark.sandbox == (running.pid, running.state["birth"])
    with suppress(OSError):
        return 0 <= lifecycle.STATE.stat().st_mtime - marked_at < lifecycle.START_S
    return False


def _refuse_if_busy() -> None:
    if lifecycle.running() is not None:
        raise RefusedError(
            "a sandbox is running, and the demo would need its place",
            "sudo kttun sandbox stop ends it, and then sudo kttun demo begins from nothing",
            f"or go on with it: sudo kttun up feature-1 --kubeconfig {lifecycle.KUBECONFIGS['dev']}",
        )
    for session in found_sessions():
        try:
            session.ask("status")
        except NoSuchSessionError:
            continue
        except KttunError:
            pass  # it lives, and does not say how it is
        raise RefusedError(
            f"session {session.name} is running, and the demo would change which names resolve beside it",
            f"sudo kttun down --session {session.name} ends it",
        )
