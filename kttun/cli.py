"""Errors to messages and exit codes; arguments become values in `kttun.arguments`, work is done in `kttun.commands`.

As root, `up` splits in two (see `kttun.host`): this process stays as the helper and starts itself again as the worker,
as the invoking user, with the same arguments.
"""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kttun.arguments import config_keys, make_parser, parse
from kttun.commands.console import Console
from kttun.errors import InternalError, KttunError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from kttun.settings.key import Key
    from kttun.settings.settings import Settings


def main(argv: Sequence[str] | None = None, prog: str = "kttun") -> int:
    """Run one command line; give the exit code that users rely on (0, 1-5, 70, 130, 143)."""
    if "_ARGCOMPLETE" in os.environ:  # a shell asks what may come next (see `kttun completion`)
        return _complete(prog)
    console = Console()
    try:
        options = parse(list(sys.argv[1:] if argv is None else argv), prog, _reader(os.environ))
        console = Console(quiet=options.quiet, debug=options.debug, color=options.color)
        if options.unread:
            console.warn(f"{options.unread.message}; the configuration is left out", *options.unread.hints)
        # Each command imports only what it needs: `version` must not wait for a Kubernetes client, and the root
        # helper must never load one.
        command = importlib.import_module(f"kttun.commands.{options.verb}")
        code: int = command.run(options, console)
        sys.stdout.flush()
    except KttunError as error:
        console.fail(error)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader of our output went away (a pager, head): the interpreter must not flush into the closed pipe.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception:  # noqa: BLE001 - whatever arrives here is a bug of ours, and is shown whole
        traceback.print_exc()
        console.fail(InternalError("this is a bug in kttun", "the lines above tell its authors where"))
        return InternalError.exit_code
    return code


def main_of_kubectl() -> int:
    """Run as a plugin of kubectl, which finds `kubectl-tun` in PATH and calls it for `kubectl tun`."""
    return main(prog="kubectl tun")


def complete_for_kubectl() -> int:
    """Complete as a plugin of kubectl, which finds `kubectl_complete-tun` in PATH for `kubectl tun`."""
    return _complete("kubectl tun", sys.argv[1:])


def _complete(prog: str, words: Sequence[str] | None = None) -> int:
    read = _reader(os.environ)
    if read is None:
        return 1  # names are asked for with the user's kubeconfig, which root leaves alone
    from kttun.commands import completing  # noqa: PLC0415 - only when a shell asks

    def written() -> Mapping[str, Any]:
        return read(config_keys()).values

    if words is None:
        completing.complete(make_parser(prog), written)
    else:
        completing.complete_for_kubectl(make_parser(prog), written, words)
    return 0


def _reader(environ: Mapping[str, str]) -> Callable[[Sequence[Key]], Settings] | None:
    """Give what reads the configuration; nothing where the power of root would meet what others have written.

    Behind sudo the files and the working directory are the user's, and this process is root: it acts on the command
    line alone, and the worker, which is the user, reads the rest. Root by itself reads what is root's.
    """
    if os.geteuid() == 0 and environ.get("SUDO_UID", "0") != "0":
        return None
    from kttun.settings.settings import read_settings  # noqa: PLC0415 - never in root's process behind sudo

    return partial(read_settings, environ=environ, folder=_working_folder())


def _working_folder() -> Path | None:
    try:
        return Path.cwd()
    except OSError:  # it was removed under our feet, or may not be seen
        return None
