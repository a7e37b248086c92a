"""`kttun up -- CMD`: one command with the session under it, as the user, ending both with its exit code."""

from __future__ import annotations

import signal
import subprocess
import threading
from contextlib import nullcontext
from typing import TYPE_CHECKING

from kttun.errors import EnvironmentFaultError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from kttun.commands.session import Session

    HeldBack = Callable[[], AbstractContextManager[None]]


def run_inside(command: Sequence[str], session: Session, held_back: HeldBack = nullcontext) -> int:
    """Run `command` until it or the session ends; give its exit code, 128 plus the signal that killed it.

    `held_back` is `Interrupts.held_back`. Raises what ended the session, and `EnvironmentFaultError` when the command
    cannot be started.
    """
    # Ctrl-C is the command's: the terminal sends it to both of us. A handler, not SIG_IGN, which it would inherit.
    signal.signal(signal.SIGINT, lambda *_: None)
    process: subprocess.Popen[bytes] | None = None
    try:
        with held_back():
            process = _start(command)
        threading.Thread(target=_await, args=(process, session), daemon=True, name="kttun-command").start()
        return session.wait()
    finally:
        if process is not None and process.poll() is None:
            process.terminate()


def _start(command: Sequence[str]) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(command)
    except OSError as error:
        raise EnvironmentFaultError(f"cannot run {command[0]}: {error.strerror}") from error


def _await(process: subprocess.Popen[bytes], session: Session) -> None:
    code = process.wait()
    session.finish(code if code >= 0 else 128 - code)
