"""Sockets that only root can make: port 53 on the TUN's address, and the session's control socket."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import stat
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kttun.errors import EnvironmentFaultError, RefusedError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from kttun.routing.names import Address

DNS_PORT = 53
_IP_FREEBIND = 15  # linux/in.h: an address that is being set up, or that comes back, can be bound
_IPV6_FREEBIND = 78  # linux/in6.h
_BACKLOG = 64


def open_dns_sockets(address: Address) -> tuple[socket.socket, socket.socket]:
    """Return a UDP and a listening TCP socket on port 53 of this address.

    Raises EnvironmentFaultError when the port is taken or needs a right.
    """
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    with _all_or_none() as opened:
        for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
            server = socket.socket(family, kind)
            opened.append(server)
            if family == socket.AF_INET:
                server.setsockopt(socket.IPPROTO_IP, _IP_FREEBIND, 1)
            else:
                server.setsockopt(socket.IPPROTO_IPV6, _IPV6_FREEBIND, 1)
                server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            if kind == socket.SOCK_STREAM:
                server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            _bind(server, address)
        udp, tcp = opened
        tcp.listen(_BACKLOG)
    return udp, tcp


@dataclass(frozen=True, slots=True)
class ControlSocket:
    """The listening Unix socket of a session: `path` in the runtime directory, `identity` to know it again."""

    path: Path
    identity: tuple[int, int]
    """Inode number and time of change: file systems give a number again soon after it is free."""
    listener: socket.socket

    def remove(self) -> None:
        """Take the socket's name away, when it is still this one's."""
        self.listener.close()
        with suppress(FileNotFoundError):
            if _identity(self.path) == self.identity:
                self.path.unlink()


def claim_control_socket(run_dir: Path, session: str, uid: int, gid: int) -> ControlSocket:
    """Make `run_dir/SESSION.sock`, only for this user, in a directory that belongs to root.

    A stale one of a dead session is replaced. Raises RefusedError when a live session has the name, and
    EnvironmentFaultError when the directory is not what it should be.
    """
    _ensure_directory(run_dir)
    path = run_dir / f"{session}.sock"
    with _locked(run_dir), _all_or_none() as opened:
        if is_live(path):
            raise RefusedError(
                f"a session {session} is running", f"end it: kttun down -s {session}", "or name this one by --session"
            )
        with suppress(FileNotFoundError):
            path.unlink()
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        opened.append(listener)
        # The mode is right from the first moment: bind(2) takes it from the umask.
        before = os.umask(0o177)
        try:
            listener.bind(str(path))
        finally:
            os.umask(before)
        os.chown(path, uid, gid)
        listener.listen(_BACKLOG)
        return ControlSocket(path, _identity(path), listener)


def is_live(path: Path) -> bool:
    """Say whether somebody listens on a Unix socket; no file and a dead one are False."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(0)
        try:
            probe.connect(str(path))
        except (FileNotFoundError, ConnectionRefusedError):
            return False
        except OSError as error:
            # A full queue (EAGAIN) and a right that lacks (EACCES) both come from something that is there.
            return error.errno in (errno.EAGAIN, errno.EACCES)
    return True


def _identity(path: Path) -> tuple[int, int]:
    found = path.lstat()
    return found.st_ino, found.st_ctime_ns


def _bind(server: socket.socket, address: Address) -> None:
    try:
        server.bind((str(address), DNS_PORT))
    except OSError as error:
        hints = {
            errno.EADDRINUSE: (
                "a name server listens on all addresses here: let it bind its own only (dnsmasq: bind-interfaces)",
                "--dns off does without names; addresses work",
            ),
            errno.EACCES: ("port 53 needs CAP_NET_BIND_SERVICE",),
        }
        message = f"cannot listen on port {DNS_PORT} of {address}: {error.strerror}"
        raise EnvironmentFaultError(message, *hints.get(error.errno or 0, ())) from error


def _ensure_directory(run_dir: Path) -> None:
    try:
        run_dir.mkdir(mode=0o755)
        run_dir.chmod(0o755)
    except FileExistsError:
        found = run_dir.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
            raise EnvironmentFaultError(
                f"{run_dir} is not a directory that only root can write", f"look who made it: ls -ld {run_dir}"
            ) from None
    except OSError as error:
        raise EnvironmentFaultError(f"cannot make {run_dir}: {error.strerror}") from error


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Let one process at a time look for a stale socket and replace it."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def _all_or_none() -> Iterator[list[socket.socket]]:
    """Close what was opened when a later step fails."""
    opened: list[socket.socket] = []
    try:
        yield opened
    except BaseException:
        for each in opened:
            each.close()
        raise
