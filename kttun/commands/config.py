"""`kttun config`: every value that `up` would take here, with the place it comes from, and the files that count."""

from __future__ import annotations

import json
import os
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kttun.errors import UsageError
from kttun.settings.origin import Origin, Source
from kttun.settings.settings import locate

if TYPE_CHECKING:
    from argparse import Namespace

    from kttun.commands.console import Console
    from kttun.settings.key import Key

    Entry = tuple[Key, Any, tuple[Origin, ...]]


def run(options: Namespace, _console: Console) -> int:
    """Print values or files; as text it is TOML, so that it may be pasted into a file."""
    if os.geteuid() == 0 and os.environ.get("SUDO_UID", "0") != "0":
        raise UsageError("behind sudo the configuration is read by the part that runs as you", "do it without sudo")
    if options.what == "path":
        _print_files(options)
    elif options.json:
        print(json.dumps({"schema": 1, "values": {key.name: _described(*rest) for key, *rest in _entries(options)}}))
    else:
        for key, value, origins in _entries(options):
            where = ", ".join(map(str, origins))
            print(f"# {key.name} is not set" if value is None else f"{key.name} = {_toml(value)}  # {where}")
    return 0


def _entries(options: Namespace) -> list[Entry]:
    return [(key, getattr(options, key.dest), _origins(options, key)) for key in options.keys]


def _origins(options: Namespace, key: Key) -> tuple[Origin, ...]:
    """Name the places of a value; what differs from what the files and the environment say was on the command line."""
    written: tuple[Origin, ...] = options.settings.origins.get(key.name, ())
    value, weighed = getattr(options, key.dest), options.parser.get_default(key.dest)
    if value == weighed:
        return written or (Origin(Source.DEFAULT),)
    return (*(written if isinstance(value, list) else ()), Origin(Source.FLAG))


def _described(value: Any, origins: tuple[Origin, ...]) -> dict[str, Any]:
    return {"value": _plain(value), "origins": [origin.to_json() for origin in origins]}


def _print_files(options: Namespace) -> None:
    """Print them also when they are broken, since then they are looked for."""
    files = [(source, path, path.exists()) for source, path in locate(os.environ, Path.cwd())]
    if options.json:
        rows = [{"source": str(source), "file": str(path), "exists": exists} for source, path, exists in files]
        print(json.dumps({"schema": 1, "files": rows}))
        return
    for source, path, exists in files:
        print(f"{path}  # {source}{'' if exists else ', does not exist'}")


def _plain(value: Any) -> Any:
    """Give a value as JSON and TOML have it, and as a file may say it."""
    match value:
        case None | bool() | int() | float():
            return value
        case Enum():
            return value.value
        case (str(key), str(text)):
            return f"{key}={text}"
        case list():
            return [_plain(each) for each in value]
    return str(value)


def _toml(value: Any) -> str:
    """Write a value as TOML: its strings, arrays, numbers and booleans are those of JSON (toml.io, v1.0.0)."""
    return json.dumps(_plain(value), ensure_ascii=False)
