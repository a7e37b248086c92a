"""Start the worker as the invoking user, stay behind as the helper, and end when it has ended.

Signals. Each one is handed on to the worker, which ends its session in order; none ends the helper, so that neither the
first nor a second Ctrl-C can break the undo. Both processes stay in the terminal's process group, so of a Ctrl-C the
worker hears twice and heeds the first; what kill(1) sends, and SIGHUP, may come to the helper alone. The handlers are
functions, because an ignored signal would stay ignored in the worker (execve(2)). A helper that is killed outright
closes its socket by dying: the worker sees the end of file, and `leftovers` cleans up.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from kttun.errors import EnvironmentFaultError, InternalError, TunnelError
from kttun.host.channel import Channel, Sender
from kttun.host.client import DESCRIPTOR_VARIABLE
from kttun.host.helper import Outcome, Places, serve

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator, Sequence
    from types import FrameType

    from kttun.host.invoker import Invoker

_HANDED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_EXIT_CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}
"""A worker that dies of these, before it handles them or while its interpreter ends, was asked to: no failure."""


def run_with_worker(
    argv: Sequence[str], invoker: Invoker, places: Places | None = None, tell: Callable[[str], None] | None = None
) -> int:
    """Run the worker to its end, serve it meanwhile, undo, and return the exit code for this process.

    That is the worker's own code; 130 or 143 when a signal ended it early, 5 when another one killed it (one line on
    stderr), 1 when it succeeded but something could not be undone, 70 when it broke a rule of the channel. The worker
    finds its end by `HelperClient.from_environment`. Raises EnvironmentFaultError when it cannot be started.
    `tell` gets each command line that the undo equals.
    """
    ours, theirs = Channel.pair()
    with _signals_handed_on() as relay:
        with theirs:
            relay.worker = worker = _start(argv, invoker, theirs, ours)
        relay.deliver()
        try:
            outcome = serve(ours, Sender(worker.pid, invoker.uid), invoker.gid, places)
        finally:
            # `serve` closed our end: the worker sees the end of file, if it is not what ended first.
            code = worker.wait()
    if tell is not None:
        for line in outcome.undone:
            tell(line)
    return _report(code, outcome)


def _start(
    argv: Sequence[str], invoker: Invoker, theirs: socket.socket, ours: socket.socket
) -> subprocess.Popen[bytes]:
    environment = {**invoker.environment, DESCRIPTOR_VARIABLE: str(theirs.fileno())}
    try:
        if invoker.is_root:
            return subprocess.Popen(argv, env=environment, pass_fds=(theirs.fileno(),))
        return subprocess.Popen(
            argv,
            env=environment,
            pass_fds=(theirs.fileno(),),
            user=invoker.uid,
            group=invoker.gid,
            extra_groups=invoker.groups,
        )
    except OSError as error:
        ours.close()
        raise EnvironmentFaultError(f"cannot start the worker as user {invoker.uid}: {error.strerror}") from error


class _Relay:
    """Hands signals on to the worker, also those that came before there was one."""

    def __init__(self) -> None:
        self.worker: subprocess.Popen[bytes] | None = None
        self._early: list[int] = []

    def take(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002  # signal.signal asks for it
        if self.worker is None:
            self._early.append(number)
        else:
            self.worker.send_signal(number)

    def deliver(self) -> None:
        """Hand on what came before the worker."""
        early, self._early = self._early, []
        for number in early:
            if self.worker is not None:
                self.worker.send_signal(number)


@contextmanager
def _signals_handed_on() -> Iterator[_Relay]:
    relay = _Relay()
    # One that is ignored already stays so: that is what nohup(1) asks for.
    numbers = [n for n in _HANDED_ON if signal.getsignal(n) is not signal.SIG_IGN]
    before = {number: signal.signal(number, relay.take) for number in numbers}
    try:
        yield relay
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _report(code: int, outcome: Outcome) -> int:
    """Turn the worker's return code into ours, and tell what a person has to know."""
    undone = f"not undone: {'; '.join(outcome.not_undone)}" if outcome.not_undone else "everything undone"
    if outcome.broken_rule:
        _say(f"kttun: the helper ended the session because of {outcome.broken_rule}, {undone}")
    elif code < 0 and -code not in _EXIT_CODES:
        _say(f"kttun: the worker died ({signal.Signals(-code).name}), {undone}")
    elif outcome.not_undone:
        _say(f"kttun: the session ended, {undone}")
    if outcome.not_undone:
        _say("hint: sudo kttun down removes what a session left on this machine")
    if code < 0:
        return _EXIT_CODES.get(signal.Signals(-code), TunnelError.exit_code)
    if outcome.broken_rule:
        return InternalError.exit_code
    return code or (EnvironmentFaultError.exit_code if outcome.not_undone else 0)


def _say(line: str) -> None:
    # The terminal may be gone by now, which shall not hide the exit code.
    with suppress(OSError):
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()
