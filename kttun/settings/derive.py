"""Keys made from the options of a parser, so that configuration and command line cannot drift apart."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kttun.settings.key import Key, Kind

if TYPE_CHECKING:
    from collections.abc import Callable


NO_KEYS = frozenset({"no-config"})
"""Options that mean one run, not a habit; every other one is a key."""

PROJECT_KEYS = frozenset(
    {
        *("context", "namespace", "session"),
        *("include", "exclude", "service-cidr", "pod-cidr", "routes", "dns", "carrier", "tun-name"),
        *("node-selector", "engine", "gateway-timeout", "linger", "max-age"),
    }
)
"""Keys that a project file may set; docs/design.md says why the others may not. A new option is none by itself."""


def keys_of(parser: argparse.ArgumentParser) -> list[Key]:
    """Give the keys that the long options of `parser` are."""
    # argparse shows the options of a parser nowhere else than in this attribute, which its extensions live on too.
    options = [action for action in parser._actions if action.option_strings]  # noqa: SLF001
    named = ((_long_name(action), action) for action in options)
    return [_key(name, action) for name, action in named if name not in NO_KEYS]


def _long_name(action: argparse.Action) -> str:
    return next(each for each in action.option_strings if each.startswith("--")).removeprefix("--")


def _key(name: str, action: argparse.Action) -> Key:
    return Key(name, _kind(action), _reader(action), is_path=action.type is Path, in_project=name in PROJECT_KEYS)


def _kind(action: argparse.Action) -> Kind:
    if action.nargs == 0:
        return Kind.SWITCH
    if isinstance(action.default, list):
        return Kind.LIST
    return Kind.NUMBER if isinstance(action.default, int | float) else Kind.TEXT


def _reader(action: argparse.Action) -> Callable[[str], Any]:
    convert: Callable[[str], Any] = action.type if callable(action.type) else str
    if action.choices is not None:
        return lambda text: _chosen(text, list(action.choices or ()))
    if isinstance(action.default, list) and not isinstance(action, argparse._ExtendAction):  # noqa: SLF001 - no public name
        return lambda text: [convert(part.strip()) for part in text.split(",") if part.strip()]
    return convert


def _chosen(text: str, choices: list[str]) -> str:
    if text not in choices:
        raise argparse.ArgumentTypeError(f"'{text}' is none of {', '.join(choices)}")
    return text
