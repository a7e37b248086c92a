"""What a demo plays on: the practice cluster, and a session to it as a process of its own, as anybody starts one."""

from __future__ import annotations

import os
import shlex
import subprocess
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from kttun.commands.claim import Mark
from kttun.commands.elevate import this_program
from kttun.errors import EnvironmentFaultError, InternalError, RefusedError
from kttun.host import leftovers
from kttun.host.invoker import find_invoker
from kttun.sandbox import lifecycle
from kttun.sandbox.bootstrap import DEV_PLACE
from kttun.sandbox.network import taken
from kttun.sandbox.settings import Settings
from kttun.sandbox.shape import choose

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from contextlib import AbstractContextManager

    from kttun.commands.claim import Claim
    from kttun.commands.console import Console

DEV_CONFIG = lifecycle.KUBECONFIGS["dev"]
END_S = 20.0
"""How long a session may take to undo itself before it is killed and its leftovers are removed."""


class Stage:
    """Set up once and ended once, whatever happens in between; `end` leaves alone what `set_up` did not begin.

    `uninterrupted` makes a context in which no signal becomes an exception.
    """

    def __init__(
        self, view: Console, held: Claim, uninterrupted: Callable[[], AbstractContextManager[None]] = nullcontext
    ) -> None:
        self._view, self._claim, self._uninterrupted = view, held, uninterrupted
        self._has_sandbox = self._kept = False
        self._session: subprocess.Popen[str] | None = None
        self.networks: dict[str, str] = {}
        """The sandbox's, by name: node, pods, services."""

    def set_up(self) -> None:
        """Start the cluster and the session. Raises `KttunError`; what has begun is undone by `end` then too."""
        self._view.say(self._view.bold("$ sudo kttun sandbox start"))
        self._start_sandbox()
        running = lifecycle.running()
        if running is None:
            raise InternalError("the sandbox ended as soon as it was ready")
        self._claim.write(Mark.of(running))
        self.networks = running.state["networks"]
        self._view.say(f"# a practice cluster on this machine alone: pods in {self.networks['pods']}")
        self._connect()

    def keep(self) -> None:
        """Let everything run on, and say how to go on and how to end it."""
        self._kept = True
        admin = lifecycle.KUBECONFIGS["admin"]
        self._tell(
            "",
            "it all runs on, for you:",
            "  curl http://web/",
            "  kttun stats --interval 1",
            f"  kubectl --kubeconfig {admin} get pods --all-namespaces",
            "and ends with:",
            f"  sudo kttun down --session {DEV_PLACE} && sudo kttun sandbox stop",
        )

    def end(self) -> None:
        """End what was set up. Raises `EnvironmentFaultError` when something is left."""
        if self._kept:
            return
        with self._view.step("end") as step:
            if self._session is not None:
                self._disconnect(self._session)
            if self._has_sandbox:
                lifecycle.stop()
            left = [*(f"{each.kind} {each.name}" for each in leftovers.find())]
            left += lifecycle.stop() if self._has_sandbox else []
            if left:
                raise EnvironmentFaultError(
                    f"left behind: {', '.join(left)}", "sudo kttun down", "sudo kttun sandbox stop"
                )
            step.outcome = "session and cluster are gone, nothing of them is left"

    def _start_sandbox(self) -> None:
        user = find_invoker(os.environ)
        self._has_sandbox = True
        with self._view.step("sandbox") as step:
            settings = Settings(shape=choose(taken()), uid=user.uid, gid=user.gid)
            try:
                lifecycle.start(settings)
            except RefusedError:
                self._has_sandbox = False  # somebody else has started one this very moment
                raise
            step.outcome = f"ready at {settings.shape.node}"

    def _connect(self) -> None:
        words = ["up", DEV_PLACE, "--kubeconfig", str(DEV_CONFIG), "--no-config"]
        self._view.say("")
        self._view.say(self._view.bold(f"$ sudo kttun {shlex.join(words)}"))
        # In a session of its own: Ctrl-C is for the demo, which ends things in their order.
        with self._uninterrupted():
            self._session = subprocess.Popen(
                [*this_program(), *words],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
        assert self._session.stderr is not None  # noqa: S101 - for the type checker: it was asked for
        self._view_until_connected(self._session.stderr)
        self._view.say("# this machine is in the cluster's network now")

    def _view_until_connected(self, lines: Iterable[str]) -> None:
        why = "it said nothing"
        for line in map(str.rstrip, lines):
            self._view.say(line)
            if line.startswith("connected to "):
                return
            if line.startswith("kttun: "):
                why = line.removeprefix("kttun: ")
        raise EnvironmentFaultError(f"the session did not come up: {why}")

    def _disconnect(self, session: subprocess.Popen[str]) -> None:
        session.terminate()
        try:
            session.communicate(timeout=END_S)
        except subprocess.TimeoutExpired:
            session.kill()
            session.communicate()

    def _tell(self, *lines: Any) -> None:
        for line in lines:
            self._view.say(line)
