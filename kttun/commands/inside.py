"""`kttun up -- CMD`: one command with the session under it, as the user, ending both with its exit code."""

from __future__ import annotations

import signal
import subprocess
import threading
from typing import TYPE_CHECKING

from kttun.errors import EnvironmentFaultError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kttun.commands.session import Session


def run_inside(command: Sequence[str], session: Session) -> int:
    """Run `command` until it or the session ends; give its exit code, 128 plus the signal that killed it.

    Raises what ended the session, and `EnvironmentFaultError` when the command cannot be started.
    """
    # Ctrl-C is the command's: the terminal sends it to both of us. A handler, not SIG_IGN, which it would inherit.
    signal.signal(signal.SIGINT, lambda *_: None)
    try:
        process = subprocess.Popen(command)
    except OSError as error:
        raise EnvironmentFaultError(f"cannot run {command[0]}: {error.strerror}") from error
    threading.Thread(target=_await, args=(process, session), daemon=True, name="kttun-command").start()
    try:
        return session.wait()
    finally:
        if process.poll() is None:
            process.terminate()


def _await(process: subprocess.Popen[bytes], session: Session) -> None:
    code = process.wait()
    session.finish(code if code >= 0 else 128 - code)
