"""Start and stop the sandbox, and say how it is, from outside. Needs no memory: `stop` finds what there is.

What there can be: the process, whose end takes all namespaces, pods and devices along; the machine's routes, marked
with our protocol number; and the run directory.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from kttun.errors import EnvironmentFaultError, InternalError, RefusedError
from kttun.sandbox.network import connect_machine, disconnect_machine
from kttun.sandbox.shape import API_PORT, RUN

if TYPE_CHECKING:
    from kttun.sandbox.settings import Settings

STATE = RUN / "state.json"
LOG = RUN / "log"
ADMIN, DEV = "admin", "dev"
KUBECONFIGS = {ADMIN: RUN / "admin.kubeconfig", DEV: RUN / "dev.kubeconfig"}
"""Users and their files; `dev` works in an example namespace, and is there when that is."""

START_S = 30.0
"""How long a start may take on a machine that is very busy."""
END_S = 10.0


@dataclass(frozen=True, slots=True)
class Running:
    """A sandbox that runs: its first process as this machine numbers it, and what it was started with."""

    pid: int
    state: dict[str, Any]


def running() -> Running | None:
    """Give the sandbox that runs on this machine, if one does; needs no root."""
    try:
        state = json.loads(STATE.read_text(encoding="utf-8"))
        if _birth(state["pid"]) == state["birth"]:
            return Running(state["pid"], state)
    except (OSError, ValueError, KeyError):
        pass
    return None


def start(settings: Settings) -> None:
    """Start the sandbox and wait until it is ready. Raises `KttunError`, and nothing is left then."""
    if running() is not None:
        raise RefusedError("the sandbox runs already", "kttun sandbox status", "sudo kttun sandbox stop")
    stop()
    RUN.mkdir(mode=0o755, parents=True)
    try:
        _start(settings)
    except BaseException:
        stop()
        raise


def stop() -> list[str]:
    """End the sandbox and remove all that one has left here; give what was there. Fine when nothing is."""
    removed = []
    if (found := running()) is not None:
        _kill(found.pid)
        removed.append(f"process {found.pid} and all its pods")
    removed += disconnect_machine()
    if RUN.exists():
        shutil.rmtree(RUN)
        removed.append(str(RUN))
    return removed


def _start(settings: Settings) -> None:
    with LOG.open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "kttun.sandbox"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            start_new_session=True,
            cwd="/",
            env=_environment(),
        )
    assert process.stdin is not None  # noqa: S101 - for the type checker: both were asked for
    assert process.stdout is not None  # noqa: S101
    with process.stdin as tell, process.stdout as hear:
        _say(tell, settings.to_json())
        pid = int(_expect(hear, "pid"))
        shape = settings.shape
        state = {
            "pid": pid,
            "birth": _birth(pid),
            "server": f"https://{shape.node}:{API_PORT}",
            "networks": {"node": str(shape.node_net), "pods": str(shape.pod_cidr), "services": str(shape.service_cidr)},
            "kubeconfigs": {
                user: str(path) for user, path in KUBECONFIGS.items() if settings.examples or user == ADMIN
            },
        }
        _write_whole(STATE, json.dumps(state))
        process.wait()
        connect_machine(pid, shape)
        _say(tell, "")
        _expect(hear, "ready")


def _environment() -> dict[str, str]:
    """Give the sandbox the search path of this Python, however that was set, and of this user's programs."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    return kept | {"PYTHONPATH": str(Path(__file__).parents[2])}


def _write_whole(path: Path, text: str) -> None:
    """Write a file that is there completely or not at all, whenever we are killed."""
    part = path.with_suffix(".part")
    part.write_text(text, encoding="utf-8")
    part.rename(path)


def _say(tell: IO[str], line: str) -> None:
    with suppress(BrokenPipeError):  # then there is something to read about it
        tell.write(f"{line}\n")
        tell.flush()


def _expect(hear: IO[str], word: str) -> str:
    """Wait for a line that begins with `word`, and give the rest. Raises `KttunError`."""
    if not select.select([hear], [], [], START_S)[0]:
        raise EnvironmentFaultError(f"the sandbox is not ready after {START_S:g} s", *_last_words())
    told, _, rest = hear.readline().strip().partition(" ")
    if told == word:
        return rest
    if told == "failed":
        raise EnvironmentFaultError(rest)
    raise InternalError("the sandbox ended while it started", *_last_words())


def _last_words() -> tuple[str, ...]:
    lines = LOG.read_text(errors="replace").splitlines()
    return (f"it said: {lines[-1]}",) if lines else ()


def _kill(pid: int) -> None:
    """End the first process of the sandbox's PID namespace, and with it everything in there; wait for that."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        signal.pidfd_send_signal(descriptor, signal.SIGKILL)
        if not select.select([descriptor], [], [], END_S)[0]:
            raise EnvironmentFaultError(f"process {pid} of the sandbox does not end")
    finally:
        os.close(descriptor)


def _birth(pid: int) -> str:
    """Give when a process began (proc(5), stat, field 22), which tells it from a later one with its number."""
    fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    if fields[0] == "Z":
        raise ProcessLookupError(pid)
    return fields[19]
