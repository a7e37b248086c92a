"""The two files: where they lie, and what stands in them, each value with its line.

A project file may have been written by somebody else: by whoever wrote the repository that is being worked in. So it
takes only keys that give no power over the user's machine (`Key.in_project`), its networks are private ones, and it
must not belong to another user of this machine, who may have laid it into a common folder such as /tmp.
"""

from __future__ import annotations

import difflib
import os
import re
import stat
from argparse import ArgumentTypeError
from ipaddress import ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kttun.errors import EnvironmentFaultError, UsageError
from kttun.settings.origin import Origin, Source

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from kttun.settings.key import Key

PROJECT_NAME = ".kttun.toml"
LONGEST = 1 << 20
"""Bytes of a file; more is no configuration, but a mistake or an attack."""

_WITHOUT = ("--no-config does without configuration",)

_PRIVATE = tuple(map(ip_network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")))
"""RFC 1918, RFC 6598 and RFC 4193: what a cluster's own networks are made of.

`is_private` of `ipaddress` is no help: in some versions it is true for 0.0.0.0/0, both of whose ends are set aside.
"""


def user_file(environ: Mapping[str, str]) -> Path:
    """Say where the user's file lies, if there is one (XDG Base Directory Specification 0.8)."""
    base = Path(environ.get("XDG_CONFIG_HOME") or "")
    if not base.is_absolute():  # "All paths set in these environment variables must be absolute", else be ignored
        base = Path(environ.get("HOME") or "/") / ".config"
    return base / "kttun" / "config.toml"


def project_file(folder: Path) -> Path | None:
    """Find the nearest project file, from `folder` upwards."""
    candidates = (each / PROJECT_NAME for each in (folder, *folder.parents))
    # Path.exists raises where a folder may not be searched (EACCES); os.path.exists calls that "no".
    return next((path for path in candidates if os.path.exists(path)), None)  # noqa: PTH110


def read_file(path: Path, source: Source, keys: Sequence[Key]) -> Iterator[tuple[Key, Any, Origin]]:
    """Yield what stands in the file, each value as the command line would give it; nothing when there is no file.

    Raises `EnvironmentFaultError` when it cannot be read, `UsageError` with file and line when something is wrong.
    """
    text = _text(path, source)
    if text is None:
        return
    table = _table(path, text)
    known = {key.name: key for key in keys}
    for name, value in table.items():
        origin = Origin(source, path, _line(text, name))
        if name not in known:
            raise _unknown(name, origin, list(known))
        yield known[name], _value(known[name], value, origin), origin


def _text(path: Path, source: Source) -> str | None:
    try:
        # Without O_NONBLOCK a FIFO under this name would keep us waiting (open(2)).
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:  # noqa: PTH123 - by number
            _check(path, source, os.fstat(file.fileno()))
            return file.read(LONGEST + 1).decode()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise EnvironmentFaultError(f"{path} cannot be read: {error.strerror}", *_WITHOUT) from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8, which TOML is", *_WITHOUT) from error


def _check(path: Path, source: Source, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise EnvironmentFaultError(f"{path} is not a file", *_WITHOUT)
    if found.st_size > LONGEST:
        raise EnvironmentFaultError(f"{path} is longer than {LONGEST} bytes", *_WITHOUT)
    # Root of a container works in folders of others; behind sudo nothing comes here as root.
    if source is Source.PROJECT and os.geteuid() and found.st_uid not in {0, os.geteuid()}:
        raise UsageError(f"{path} belongs to another user (uid {found.st_uid})", "make it yours: chown", *_WITHOUT)


def _table(path: Path, text: str) -> dict[str, Any]:
    import tomllib  # noqa: PLC0415 - most command lines meet no file

    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        what, _, place = str(error).partition(" (at ")
        line = re.match(r"line (\d+)", place)
        where = f"{path}:{line[1] if line else len(text.splitlines())}"  # else it says "end of document"
        raise UsageError(f"{where}: not TOML: {what}", 'a line is KEY = "VALUE"') from error


def _line(text: str, name: str) -> int | None:
    """Find where a key is set, which tomllib does not tell: the first line that begins with it."""
    written = re.escape(name)
    begins = re.compile(rf"""\s*\[*\s*(?:{written}|"{written}"|'{written}')\s*[].=]""")
    return next((number for number, line in enumerate(text.split("\n"), 1) if begins.match(line)), None)


def _value(key: Key, value: object, origin: Origin) -> Any:
    if origin.source is Source.PROJECT and not key.in_project:
        raise UsageError(
            f"{origin}: {key.name} may not stand in a project file, which somebody else may have written",
            f"put it into your own file, or use --{key.name}",
        )
    try:
        meant = key.from_toml(value)
    except TypeError as error:
        raise UsageError(f"{origin}: {error}", "kttun up --help") from None
    except (ArgumentTypeError, ValueError) as error:
        raise UsageError(f"{origin}: {key.name}: {error}", "kttun up --help") from None
    if key.is_path and origin.file is not None:
        return origin.file.absolute().parent / os.path.expanduser(meant)  # noqa: PTH111 - pathlib's raises
    if origin.source is Source.PROJECT and key.name != "exclude":
        _check_private(key, meant, origin)
    return meant


def _check_private(key: Key, meant: object, origin: Origin) -> None:
    """Keep a project from drawing the user's traffic to the Internet into a cluster."""
    for network in meant if isinstance(meant, list) else ():
        if not hasattr(network, "subnet_of"):
            continue
        if not any(network.version == each.version and network.subnet_of(each) for each in _PRIVATE):
            raise UsageError(
                f"{origin}: {key.name}: {network} is not a private network, and a project file may name no other",
                f"put it into your own file, or use --{key.name}",
            )


def _unknown(name: str, origin: Origin, known: Sequence[str]) -> UsageError:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0)
    shown = name if name.isprintable() else ascii(name)  # quoted keys may hold what moves a terminal's cursor
    return UsageError(f"{origin}: unknown key {shown}", f"did you mean {near[0]}?", "kttun config show lists the keys")
