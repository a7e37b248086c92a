"""Linux namespaces and mounts: the calls that Python 3.11 has no names for (unshare(2), setns(2), mount(2))."""

from __future__ import annotations

import ctypes
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NEWNS, NEWUTS, NEWPID, NEWNET = 0x0002_0000, 0x0400_0000, 0x2000_0000, 0x4000_0000  # linux/sched.h
RDONLY, NOSUID, NODEV, NOEXEC, REMOUNT, BIND, REC, PRIVATE = 1, 2, 4, 8, 32, 0x1000, 0x4000, 0x4_0000  # linux/mount.h

_libc = ctypes.CDLL(None, use_errno=True)


def unshare(kinds: int) -> None:
    """Move this thread (with NEWPID: its next child) into new namespaces. Raises `OSError`."""
    _done(_libc.unshare(kinds), "unshare")


def setns(fd: int, kind: int) -> None:
    """Move this thread (with NEWPID: its next child) into the namespace behind `fd`. Raises `OSError`."""
    _done(_libc.setns(fd, kind), "setns")


def mount(source: str, target: Path, kind: str = "none", flags: int = 0, options: str = "") -> None:
    """Mount, as the command of that name does with these words. Raises `OSError`."""
    result = _libc.mount(
        source.encode(), os.fsencode(target), kind.encode(), ctypes.c_ulong(flags), options.encode() or None
    )
    _done(result, str(target))


def sethostname(name: str) -> None:
    """Name this UTS namespace; at most 64 bytes (sethostname(2)). Raises `OSError`."""
    text = name.encode()[:64]
    _done(_libc.sethostname(text, len(text)), "sethostname")


def own(kind: str) -> int:
    """Open this thread's namespace of a kind (`net`, `pid`...); the caller closes it."""
    return os.open(f"/proc/thread-self/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC)


@contextmanager
def inside(network: int) -> Iterator[None]:
    """Be in another network namespace for a moment; sockets made meanwhile stay there."""
    home = own("net")
    try:
        setns(network, NEWNET)
        try:
            yield
        finally:
            setns(home, NEWNET)
    finally:
        os.close(home)


def new_network() -> int:
    """Make a network namespace that has no name; it lives as long as the descriptor or a process in it."""
    home = own("net")
    try:
        unshare(NEWNET)
        made = own("net")
        setns(home, NEWNET)
    finally:
        os.close(home)
    return made


def _done(result: int, what: str) -> None:
    if result != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), what)
