"""Errors to messages and exit codes; arguments become values in `kttun.arguments`, work is done in `kttun.commands`.

As root, `up` splits in two (see `kttun.host`): this process stays as the helper and starts itself again as the worker,
as the invoking user, with the same arguments.
"""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from typing import TYPE_CHECKING

from kttun.arguments import parse
from kttun.commands.console import Console
from kttun.errors import InternalError, KttunError

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line; give the exit code that users rely on (0, 1-5, 70, 130, 143)."""
    console = Console()
    try:
        options = parse(list(sys.argv[1:] if argv is None else argv))
        console = Console(quiet=options.quiet, debug=options.debug, color=options.color)
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
