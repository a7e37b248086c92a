"""`kttun demo`: a practice cluster, a session to it, a guided look through the tunnel, and then nothing of it is left.

Every command is printed as a person would type it, then its real output, then what was seen in it, which is checked.
Each undo is armed before what it undoes; of a demo that is killed outright, the next one finds what is left (`claim`).
"""

from __future__ import annotations

import errno
import importlib.util
import os
import shutil
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from kttun.commands.console import Console
from kttun.commands.interrupts import Interrupted, interrupts
from kttun.errors import EnvironmentFaultError

if TYPE_CHECKING:
    from argparse import Namespace

EXTRA = {"aiohttp": "aiohttp", "grpclib": "grpclib", "jsonpatch": "jsonpatch", "jwt": "PyJWT"}
"""Modules that only the sandbox needs, and the packages that bring them (`kttun[sandbox]`)."""
DEVICE = Path("/dev/net/tun")


def run(options: Namespace, console: Console) -> int:
    """Show everything and undo it; give 130 or 143 when somebody ended it.

    Raises `KttunError`, with code 1 when a step did not hold.
    """
    _check_packages()
    if os.geteuid() != 0:
        from kttun.commands.elevate import become_root  # noqa: PLC0415

        become_root(options.words, console)
    _check_machine()
    from kttun.commands.claim import claim  # noqa: PLC0415 - what it needs is there, as was just checked
    from kttun.commands.look import look  # noqa: PLC0415
    from kttun.commands.stage import Stage  # noqa: PLC0415

    view = Console(quiet=options.quiet, color=options.color, stream=sys.stdout)
    with ExitStack() as undo:
        try:
            with interrupts() as signals:
                stage = Stage(view, undo.enter_context(claim(console)), signals.held_back)
                undo.callback(stage.end)
                stage.set_up()
                failed = look(view, stage.networks, signals.held_back)
        except Interrupted as interrupted:
            console.say(f"{interrupted}: undoing everything")
            return interrupted.exit_code
        if options.keep and not failed:
            stage.keep()
    if failed:
        raise EnvironmentFaultError(f"did not hold: {'; '.join(failed)}", "the output of each stands above")
    return 0


def _check_packages() -> None:
    missing = [package for module, package in EXTRA.items() if importlib.util.find_spec(module) is None]
    if missing:
        raise EnvironmentFaultError(
            f"the demo needs the sandbox, and it packages that are not installed: {', '.join(missing)}",
            "pip install 'kttun[sandbox]'",
        )


def _check_machine() -> None:
    if shutil.which("nft") is None:
        raise EnvironmentFaultError("the demo needs the program nft", "apt install nftables")
    try:
        os.close(os.open(DEVICE, os.O_RDWR | os.O_CLOEXEC))
    except OSError as error:
        absent = error.errno in {errno.ENOENT, errno.ENODEV}
        raise EnvironmentFaultError(
            f"the demo needs {DEVICE}: {error.strerror}",
            "modprobe tun" if absent else "a container must be given the device: --device /dev/net/tun --privileged",
        ) from error
