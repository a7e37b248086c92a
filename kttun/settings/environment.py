"""The environment's part: one variable KTTUN_... for each key."""

from __future__ import annotations

import difflib
import re
from argparse import ArgumentTypeError
from typing import TYPE_CHECKING, Any

from kttun.errors import UsageError
from kttun.settings.origin import Origin, Source

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from kttun.settings.key import Key

PREFIX = "KTTUN_"
_ALIKE = 0.6
"""How like a key an unknown variable must be to be taken for a slip of the finger; others are somebody else's."""
_FOREIGN = re.compile(r"KTTUN_(?:HELPER_FD|GATEWAY|(?:.*_)?SERVICE_(?:HOST|PORT.*)|(?:.*_)?PORT(?:_\d.*)?)")
"""Our own inner ones, and what Kubernetes sets in each pod beside a Service whose name begins with kttun.

See kubernetes.io, "Accessing the Service", section "Environment Variables".
"""


def read_environment(environ: Mapping[str, str], keys: Sequence[Key]) -> Iterator[tuple[Key, Any, Origin]]:
    """Yield what the environment sets; an empty variable sets nothing. Raises `UsageError`."""
    known = {key.variable: key for key in keys}
    for variable in sorted(name for name in environ if name.startswith(PREFIX)):
        if variable not in known:
            _refuse_slip(variable, known)
        elif environ[variable]:
            key, origin = known[variable], Origin(Source.ENVIRONMENT, variable=variable)
            try:
                yield key, key.from_text(environ[variable]), origin
            except (ArgumentTypeError, ValueError) as error:
                raise UsageError(f"{variable}: {error}", "kttun up --help") from None


def _refuse_slip(variable: str, known: Mapping[str, Key]) -> None:
    if _FOREIGN.fullmatch(variable):
        return
    bare = {name.removeprefix(PREFIX): name for name in known}
    near = difflib.get_close_matches(variable.removeprefix(PREFIX), bare, n=1, cutoff=_ALIKE)
    if near:
        raise UsageError(f"{variable} sets nothing", f"did you mean {bare[near[0]]}?")
