"""`kttun up`: as root it stays as the helper and starts itself again as the worker, which does everything else.

The words go on as they were typed, so the worker, and not root, reads the configuration files.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argparse import Namespace

    from kttun.commands.console import Console


def run(options: Namespace, console: Console) -> int:
    """Connect to a namespace until Ctrl-C, or until the command after ``--`` ends; give the exit code."""
    from kttun.host.client import DESCRIPTOR_VARIABLE  # noqa: PLC0415

    if DESCRIPTOR_VARIABLE in os.environ:
        return _work(options, console)
    if os.geteuid() == 0:
        from kttun.host.invoker import find_invoker  # noqa: PLC0415
        from kttun.host.spawn import run_with_worker  # noqa: PLC0415 - the helper loads nothing but the host room

        # -P: the working directory, which anybody may have filled, is not searched for modules.
        argv = [sys.executable, "-P", "-m", "kttun", *options.words]
        return run_with_worker(argv, find_invoker(os.environ))
    if not options.config.dry_run:
        from kttun.commands.elevate import become_root  # noqa: PLC0415

        become_root(options.words, console, "--dry-run prints the plan without it")
    return _plan(options, console)


def _work(options: Namespace, console: Console) -> int:
    from kttun.commands.interrupts import Interrupted, interrupts  # noqa: PLC0415
    from kttun.host.client import HelperClient  # noqa: PLC0415
    from kttun.host.privileges import give_up  # noqa: PLC0415

    try:
        with interrupts():  # loading libraries takes a quarter of a second, and Ctrl-C comes twice
            give_up()
            from kttun.commands.worker import work  # noqa: PLC0415 - nothing of Kubernetes is loaded before root is gone

            return work(options.config, console, HelperClient.from_environment())
    except Interrupted as interrupted:
        return interrupted.exit_code


def _plan(options: Namespace, console: Console) -> int:
    from kttun.commands.worker import work  # noqa: PLC0415

    return work(options.config, console, None)
