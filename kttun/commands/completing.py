"""Answering a shell that asks what may come next: argcomplete walks the parser, live names fill its places.

Here nothing may be said, asked or waited for: a person's hands are on the keys. Whatever goes wrong, there are just no
names.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from argcomplete.completers import FilesCompleter, SuppressCompleter
from argcomplete.finders import CompletionFinder

from kttun.commands.live_names import LIVE_NAMES, in_time
from kttun.config import ClusterChoice
from kttun.errors import KttunError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    Completer = Callable[..., Any]
    Settings = Callable[[], Mapping[str, Any]]

_COMMAND_BEGINS = re.compile(r"\s--\s")


def complete(parser: argparse.ArgumentParser, settings: Settings, **where: Any) -> None:
    """Write the completions for the shell that asked by argcomplete's variables, and end this process.

    `settings` gives the values of the configuration by key; where it fails there are none. `where` is for argcomplete:
    where to write and how to end, if not as its shell code expects it.
    """
    line = os.environ.get("COMP_LINE", "")[: int(os.environ.get("COMP_POINT", "0"))]
    if _COMMAND_BEGINS.search(line):
        os._exit(1)  # the words of another command: the shell's own completion goes on
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)  # no credential plugin shall ask anything
    for place in places(parser):
        completer = completer_of(place, settings)
        if completer is not None:
            # argcomplete's way: its documentation, "Specifying completers".
            place.completer = completer  # type: ignore[attr-defined]
    # Options come when a dash is typed: before that they would bury the names.
    CompletionFinder()(parser, always_complete_options=False, default_completer=SuppressCompleter(), **where)


def complete_for_kubectl(parser: argparse.ArgumentParser, settings: Settings, words: Sequence[str]) -> None:
    """Write the completions of the last of `words` as kubectl asks its plugins for them, and end this process.

    kubectl calls `kubectl_complete-tun` with the words behind `kubectl tun`, the last of which may be empty, and reads
    one completion a line and a last line `:4`, which means "and no files" (cobra's ShellCompDirectiveNoFileComp; see
    k8s.io/kubectl, pkg/cmd/plugin/plugin_completion.go).
    """
    *before, last = words or [""]
    line = " ".join(("kubectl-tun", *map(shlex.quote, before), last))
    asked = {"_ARGCOMPLETE": "1", "_ARGCOMPLETE_IFS": "\n", "_ARGCOMPLETE_SUPPRESS_SPACE": "1"}
    os.environ.update(asked, COMP_LINE=line, COMP_POINT=str(len(line)))
    complete(parser, settings, output_stream=sys.stdout, exit_method=_end_for_kubectl)


def _end_for_kubectl(code: int = 0) -> None:
    sys.stdout.write("\n:4\n")
    sys.stdout.flush()
    os._exit(code)  # a thread may still wait for the cluster


def places(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Give every option and argument of the parser and of its commands."""
    # argparse shows them nowhere else than in these attributes, which its extensions live on too.
    for action in parser._actions:  # noqa: SLF001
        yield action
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            for each in action.choices.values():
                yield from places(each)


def completer_of(place: argparse.Action, settings: Settings) -> Completer | None:
    """Give what completes the values of an option or argument; None leaves it to argcomplete."""
    metavar = str(place.metavar or "")
    if metavar.startswith("{"):
        values = metavar.strip("{}").split(",")
        return lambda **_: values
    if place.type is Path:
        return FilesCompleter()
    names = LIVE_NAMES.get(place.dest) or LIVE_NAMES.get(metavar)
    if names is None:
        return None
    return lambda parsed_args, **_: in_time(lambda: names(_choice(parsed_args, settings)))


def _choice(typed: argparse.Namespace, settings: Settings) -> ClusterChoice:
    """Choose the cluster by what was typed so far, else by the configuration."""
    written: Mapping[str, Any] = {}
    with suppress(KttunError):
        written = settings()
    said = {name: getattr(typed, name, None) or written.get(name) for name in ("kubeconfig", "context", "namespace")}
    return ClusterChoice(**said)
