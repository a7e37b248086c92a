"""`kttun down`: asks sessions to end, then removes what dead ones left on this machine."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from kttun.commands.sessions import found_sessions
from kttun.errors import EnvironmentFaultError, NoSuchSessionError, RefusedError, TunnelError, UsageError

if TYPE_CHECKING:
    from argparse import Namespace

    from kttun.commands.console import Console
    from kttun.commands.sessions import Found

END_S = 15.0


def run(options: Namespace, console: Console) -> int:
    """End sessions; ending none is fine, so it may be called twice."""
    for session in _meant(options):
        end(session, console)
    remove_leftovers(console)
    return 0


def _meant(options: Namespace) -> list[Found]:
    """Give all, the one named, or the only one that is this user's and lives."""
    wanted = options.session or options.namespace
    if options.all or wanted:
        return found_sessions(None if options.all else wanted)
    alive = [session for session in found_sessions() if _is_ours_and_lives(session)]
    if len(alive) > 1:
        names = ", ".join(session.name for session in alive)
        raise UsageError(f"several sessions are running: {names}", "name one with --session, or all with --all")
    return alive


def _is_ours_and_lives(session: Found) -> bool:
    try:
        session.ask("status")
    except (NoSuchSessionError, RefusedError):
        return False
    except TunnelError:
        return True  # it listens, so it lives; ending it may be just what is wanted
    return True


def end(session: Found, console: Console) -> None:
    """End one session and wait until it is gone. Raises `TunnelError` when it does not end, `RefusedError`."""
    try:
        session.ask("down")
    except NoSuchSessionError:
        console.detail(f"session {session.name} is dead")
        return
    except TunnelError as error:
        console.detail(error.message)  # it may have ended while it answered, which shows below
    until = time.monotonic() + END_S
    while session.path.exists():
        if time.monotonic() > until:
            raise TunnelError(f"session {session.name} does not end", "look at its own terminal")
        time.sleep(0.05)
    console.say(f"session {session.name} ended")


def remove_leftovers(console: Console) -> None:
    """Remove what dead sessions left on this machine, and tell each. Raises `EnvironmentFaultError`."""
    from kttun.host import leftovers  # noqa: PLC0415 - netlink is loaded only when it is needed
    from kttun.host.echo import Echo  # noqa: PLC0415

    found = leftovers.find()
    if not found:
        return
    if os.geteuid() != 0:
        console.warn("a session that died left things on this machine", "sudo kttun down removes them")
        return
    echo = Echo()
    leftovers.remove(found, echo)
    for line in echo.take():
        console.say(f"removed: {line}")
    if echo.failures:
        raise EnvironmentFaultError(f"could not be removed: {'; '.join(echo.failures)}")
