"""Becoming root by sudo, which asks the person; kttun itself asks for no password and keeps none.

sudo looks for programs in a path of its own (`secure_path`, sudoers(5)), where an installation of one user is not: so
the program is named by its absolute path. Nothing of the environment is kept for root; the worker gets the user's own
back from sudo's process (see `kttun.host.invoker`).
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from kttun.errors import EnvironmentFaultError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kttun.commands.console import Console

PROGRAMS = frozenset({"kttun", "kubectl-tun"})


def become_root(words: Sequence[str], console: Console, *otherwise: str) -> NoReturn:
    """Go on as sudo with the same command line, where somebody sits at a terminal.

    This process becomes sudo: its exit code is the one that counts (kttun's own, or 1 when sudo says no), and signals
    reach it. Raises `EnvironmentFaultError` with the line to type in scripts, where a question would hang, and without
    sudo; `otherwise` are its further hints.
    """
    line = ["sudo", *this_program(), *words]
    sudo = shutil.which("sudo")
    if sudo is None or not _somebody_is_there():
        raise EnvironmentFaultError(
            "root is needed to make a network device and routes",
            shlex.join(line),
            *otherwise,
        )
    console.say(f"root is needed to make a network device and routes: {shlex.join(line)}")
    os.execv(sudo, line)  # noqa: S606 - no shell is wanted: the words are as they were typed


def this_program() -> list[str]:
    """Give the words that start this very program again, whatever PATH is."""
    called = Path(sys.argv[0])
    if called.name in PROGRAMS and called.is_file():
        return [str(called.absolute())]
    # -P: the working directory, which anybody may have filled, is not searched for modules.
    return [sys.executable, "-P", "-m", "kttun"]


def _somebody_is_there() -> bool:
    return sys.stdin is not None and not sys.stdin.closed and sys.stdin.isatty()
