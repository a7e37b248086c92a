"""`kttun version`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from kttun import __version__

if TYPE_CHECKING:
    from argparse import Namespace

    from kttun.commands.console import Console


def run(options: Namespace, _console: Console) -> int:
    """Print this program's version and the tunnel protocol's."""
    from kttun.protocol.preface import VERSION  # noqa: PLC0415

    if options.json:
        print(json.dumps({"schema": 1, "version": __version__, "protocol": VERSION}))
    else:
        print(f"kttun {__version__} (tunnel protocol {VERSION})")
    return 0
