"""`kttun status`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from kttun.commands.sessions import found_sessions
from kttun.errors import KttunError, NoSuchSessionError

if TYPE_CHECKING:
    from argparse import Namespace

    from kttun.commands.console import Console
    from kttun.commands.sessions import Found


def run(options: Namespace, console: Console) -> int:
    """Print the sessions of this machine and how they are; exit code 3 when there is none."""
    wanted = options.session or options.namespace
    answers = (_ask(session, console) for session in found_sessions(wanted))
    sessions = [answer for answer in answers if answer is not None]
    if options.json:
        print(json.dumps({"schema": 1, "sessions": sessions}))
    else:
        print(*(_text(session) for session in sessions), sep="\n\n", end="\n" if sessions else "")
    if not sessions and not options.json:
        what = f"no session {wanted} is running" if wanted else "no session is running"
        raise NoSuchSessionError(what, "sudo kttun up NAMESPACE begins one")
    return 0 if sessions else NoSuchSessionError.exit_code


def _ask(session: Found, console: Console) -> dict[str, Any] | None:
    """Ask one session; what keeps it from answering is told, and hides no other session."""
    try:
        return session.ask("status")
    except NoSuchSessionError:
        console.warn(f"session {session.name} is dead", "sudo kttun down removes what it left")
    except KttunError as error:
        console.warn(f"session {session.name}: {error.message}", *error.hints)
    return None


def _text(session: dict[str, Any]) -> str:
    counters, gateway, dns = session["counters"], session["gateway"], session["dns"]
    rtt = "-" if session["rtt_ms"] is None else f"{session['rtt_ms']} ms"
    dropped = ", ".join(f"{reason} {count}" for reason, count in counters["drops"].items() if count) or "none"
    lane = session["lanes"][0]
    return "\n".join(
        (
            f"{session['name']}: {session['state']} since {session['since']}, resumed {session['resumes']} times",
            f"  namespace  {session['namespace']} at {session['server']} (context {session['context']})",
            f"  interface  {session['interface']} {' '.join(session['addresses'])}",
            f"  gateway    {gateway['pod']} on {gateway['node']}, engine {session['engine']}",
            f"  lane       {lane['carrier'] or 'none'}, round trip {rtt}, last heard {session['last_echo_s']} s ago",
            f"  routes     {session['routes']} ({session['routes_mode']})",
            f"  names      {' '.join((dns['mode'], *dns['domains']))}",
            f"  sent       {counters['tx_packets']} packets, {counters['tx_bytes']} bytes",
            f"  received   {counters['rx_packets']} packets, {counters['rx_bytes']} bytes",
            f"  dropped    {dropped}",
        )
    )
