"""Put the forwarder into resolv.conf, and take exactly that out again, whatever happened to the file in between.

Theory. The file itself says all that is needed to undo: its first line is a header with the session's name and what it
added. The original stands beside it as `resolv.conf.before-kttun-SESSION`, the very file or symlink, so that a rename
brings everything back: owner, mode, link. `rendered` is a function of the original and the header, so a file that
equals it is untouched since, and is replaced by the original; in a file that somebody edited only our words are taken
out; a file that somebody replaced has no header, and is left alone.

Our nameserver stands first and the old ones stay behind it, so a dead forwarder costs time-outs, never the host's DNS.

Sessions stack: the second one's original is the first one's file. So a session that ends hands its original over to
the one whose original it has been, and takes its words out of what stands above.

resolv.conf(5), resolv.h (MAXNS 3: glibc reads the first three nameservers).
"""

from __future__ import annotations

import errno
import os
import re
import shutil
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

from kttun.errors import EnvironmentFaultError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kttun.host.echo import Echo
    from kttun.routing.names import Address, ResolverPlan

BACKUP_MARK = ".before-kttun-"
_HEADER = re.compile(
    r"# kttun session=(?P<session>\S+) nameservers=(?P<nameservers>\S*) search=(?P<search>\S*) original=(?P<kind>\w+)"
)
_ADVICE = "# kttun takes this out again when the session ends; if it did not: sudo kttun down"


@dataclass(frozen=True, slots=True)
class Header:
    """What one session added to the file."""

    session: str
    nameservers: tuple[str, ...]
    search: tuple[str, ...]
    absent: bool
    """There was no resolv.conf before."""

    def line(self) -> str:
        """Return the first line of the file; `parse_headers` reads it."""
        kind = "absent" if self.absent else "kept"
        servers, search = ",".join(self.nameservers), ",".join(self.search)
        return f"# kttun session={self.session} nameservers={servers} search={search} original={kind}"


class Resolvconf:
    """resolv.conf written directly, for one session."""

    name = "resolvconf"

    def __init__(self, session: str, path: Path = Path("/etc/resolv.conf")) -> None:
        self._session = session
        self._path = path
        self._backup = _backup_of(path, session)

    def obstacle(self) -> str | None:
        """Return why not: the folder is not there. Whether it can be written shows when it is."""
        return None if self._path.parent.is_dir() else f"there is no {self._path.parent}"

    def is_supported(self) -> bool:
        """Say whether resolv.conf can be where it is looked for."""
        return self.obstacle() is None

    def apply(self, link: str, plan: ResolverPlan, echo: Echo) -> None:  # noqa: ARG002  # the file knows no links
        """Write our nameserver and search list before the old ones; another plan of this session goes first."""
        servers = tuple(str(address) for address in plan.nameservers)
        with _explained(self._path):
            present = next((h for h in parse_headers(_read(self._path)) if h.session == self._session), None)
            if present and (present.nameservers, present.search) == (servers, plan.search):
                return
            if present:
                undo_session(self._path, self._session, echo)
            header = Header(self._session, servers, plan.search, absent=not os.path.lexists(self._path))
            text = rendered(_read(self._path), header)
            _keep(self._path, self._backup)
            try:
                _write(self._path, text)
            except OSError:
                with suppress(OSError):
                    self._backup.unlink()
                raise
        echo.did(f"cp -a {self._path} {self._backup} && edit {self._path}  # nameserver {servers[0]} first")

    def undo(self, link: str, echo: Echo) -> None:  # noqa: ARG002  # the file knows no links
        """Bring the original back, or take our words out of what became of the file."""
        with _explained(self._path):
            undo_session(self._path, self._session, echo)


def restore_leftovers(path: Path, is_alive: Callable[[Address], bool], echo: Echo) -> None:
    """Take out each session whose nameserver is no address of this machine any more (`is_alive`).

    Raises EnvironmentFaultError when the file cannot be changed.
    """
    for session in find_leftovers(path, is_alive):
        with _explained(path):
            undo_session(path, session, echo)


def find_leftovers(path: Path, is_alive: Callable[[Address], bool]) -> tuple[str, ...]:
    """Return the sessions that left words in the file, or an original beside it, and live no more."""
    headers = {h.session: h for file in _files(path) for h in parse_headers(_read(file))}
    kept = [file.name.partition(BACKUP_MARK)[2] for file in _files(path)[1:]]
    living = {s for s, h in headers.items() if any(is_alive(ip_address(server)) for server in h.nameservers)}
    return tuple(session for session in dict.fromkeys((*headers, *kept)) if session not in living)


def undo_session(path: Path, session: str, echo: Echo) -> None:
    """Take one session out of resolv.conf and out of the originals of sessions above it. Raises OSError."""
    backup = _backup_of(path, session)
    for file in _files(path):
        headers = list(parse_headers(_read(file)))
        mine = next((header for header in headers if header.session == session), None)
        if mine is None:
            continue
        if headers[0] == mine and _read(file) == rendered(_read(backup), mine):
            _bring_back(backup, file, mine, echo)
        else:
            _write(file, without(_read(file), mine))
            echo.did(f"edit {file}  # without the lines of kttun session {session}")
    with suppress(FileNotFoundError):
        backup.unlink()
        echo.did(f"rm {backup}")


def rendered(original: str, header: Header) -> str:
    """Return the file of a session over its original text: ours first, all else kept in its order.

    The last `search` or `domain` line of a resolv.conf is the one that counts, so ours joins it and the others go.
    """
    search = list(header.search)
    rest: list[str] = []
    for line in original.splitlines():
        words = line.split()
        if words[:1] in (["search"], ["domain"]):
            search = [*header.search, *(word for word in words[1:] if word not in header.search)]
        else:
            rest.append(line)
    first_server = next((i for i, line in enumerate(rest) if line.split()[:1] == ["nameserver"]), len(rest))
    rest[first_server:first_server] = [f"nameserver {server}" for server in header.nameservers]
    lines = [header.line(), _ADVICE, *rest, *([f"search {' '.join(search)}"] if search else [])]
    return "\n".join(lines) + "\n"


def without(text: str, header: Header) -> str:
    """Return the text without one session's header, nameservers and search domains, unless others claim them too."""
    others = [other for other in parse_headers(text) if other.session != header.session]
    servers = set(header.nameservers).difference(*(other.nameservers for other in others))
    domains = set(header.search).difference(*(other.search for other in others))
    kept: list[str] = []
    for line in text.splitlines():
        words = line.split()
        ours = len(words) > 1 and words[0] == "nameserver" and words[1] in servers
        if ours or line == header.line():
            continue
        if words[:1] in (["search"], ["domain"]):
            left = [word for word in words[1:] if word not in domains]
            if left:
                kept.append(" ".join((words[0], *left)))
            continue
        kept.append(line)
    if len(others) < kept.count(_ADVICE):
        kept.remove(_ADVICE)
    return "".join(f"{line}\n" for line in kept)


def parse_headers(text: str) -> Iterator[Header]:
    """Yield the header of each session in the file, the newest first."""
    for line in text.splitlines():
        if found := _HEADER.fullmatch(line):
            servers, search = (tuple(filter(None, found[key].split(","))) for key in ("nameservers", "search"))
            if all(_is_address(server) for server in servers):
                yield Header(found["session"], servers, search, absent=found["kind"] == "absent")


def _files(path: Path) -> list[Path]:
    """Return resolv.conf and the originals kept beside it."""
    return [path, *sorted(path.parent.glob(f"{path.name}{BACKUP_MARK}*"))]


def _backup_of(path: Path, session: str) -> Path:
    return path.with_name(f"{path.name}{BACKUP_MARK}{session}")


def _keep(path: Path, backup: Path) -> None:
    """Put the original beside the file: the same inode where that can be, else a copy (bind mounts, some disks)."""
    with suppress(FileNotFoundError):
        backup.unlink()
    if path.is_symlink():
        backup.symlink_to(path.readlink())
    elif path.exists():
        try:
            os.link(path, backup)
        except OSError:
            shutil.copy2(path, backup)


def _bring_back(backup: Path, file: Path, header: Header, echo: Echo) -> None:
    if header.absent or not os.path.lexists(backup):
        file.unlink()
        echo.did(f"rm {file}")
        return
    try:
        backup.replace(file)
    except OSError as error:
        if error.errno != errno.EBUSY:
            raise
        _write(file, _read(backup))
        backup.unlink()
    echo.did(f"mv {backup} {file}")


def _write(path: Path, text: str) -> None:
    """Replace the file atomically; a bind mount (containers) cannot be renamed over and is written in place."""
    fresh = path.with_name(f".{path.name}.kttun-{os.getpid()}")
    try:
        fresh.write_text(text, encoding="utf-8", errors="surrogateescape")
        fresh.chmod(0o644)
        if path.is_file() and not path.is_symlink():
            shutil.copystat(path, fresh)
        fresh.replace(path)
    except OSError as error:
        with suppress(OSError):
            fresh.unlink()
        if error.errno != errno.EBUSY:
            raise
        path.write_text(text, encoding="utf-8", errors="surrogateescape")


def _read(path: Path) -> str:
    """Return the text, empty when there is none (a dangling symlink as well). Other bytes than UTF-8 survive."""
    try:
        return path.read_text(encoding="utf-8", errors="surrogateescape")
    except FileNotFoundError:
        return ""


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn an OSError about the file into one line and what to do."""
    try:
        yield
    except OSError as error:
        hints = ["--dns off does without names; addresses work"]
        if error.errno in (errno.EPERM, errno.EACCES):
            hints.insert(0, f"the file may be immutable: lsattr {path}")
        raise EnvironmentFaultError(f"cannot change {path}: {error.strerror}", *hints) from error
