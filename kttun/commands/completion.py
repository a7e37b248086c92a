"""`kttun completion`: what makes a shell complete our command lines; the code is argcomplete's."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argparse import Namespace

    from kttun.commands.console import Console


def run(options: Namespace, _console: Console) -> int:
    """Print the shell's code on standard output."""
    from argcomplete.shell_integration import shellcode  # noqa: PLC0415 - only here

    sys.stdout.write(shellcode(["kttun"], shell=options.shell).strip() + "\n")
    return 0
