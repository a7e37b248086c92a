"""Give up root in the worker, for good, and prove it.

Behind sudo, `spawn` has set groups, group and user before the worker's first instruction, and with the change of all
user ids from 0 the kernel cleared every capability (capabilities(7), "Effect of user ID changes"). What is left to do
is to prove it. `no_new_privs` stays off there: the worker runs the user's own credential plugins, and these may call
programs that are set-user-id, as in any shell of this user.

Root without sudo (containers, CI) has no lesser user to become. It keeps uid 0 and loses what makes it root to the
kernel: all capability sets are emptied, the bounding set too, `no_new_privs` is set, and the securebits are locked so
that uid 0 means nothing any more. What remains is what owning files gives: files of root are still its own.

Numbers: linux/capability.h, linux/prctl.h, linux/securebits.h. Python has no calls for these, hence ctypes.
"""

from __future__ import annotations

import ctypes
import errno
import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from kttun.errors import InternalError

if TYPE_CHECKING:
    from collections.abc import Callable

_PR_CAPBSET_DROP = 24
_PR_SET_SECUREBITS = 28
_PR_SET_NO_NEW_PRIVS = 38
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_CLEAR_ALL = 4

_SECUREBITS_ALL_LOCKED = 0b1110_1111
"""NOROOT, NO_SETUID_FIXUP and NO_CAP_AMBIENT_RAISE on, KEEP_CAPS off, and each of the four locked."""

_LINUX_CAPABILITY_VERSION_3 = 0x2008_0522
CAP_NET_ADMIN = 12
CAP_SYS_ADMIN = 21

_libc = ctypes.CDLL(None, use_errno=True)


class _CapHeader(ctypes.Structure):
    """struct __user_cap_header_struct."""

    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _CapData(ctypes.Structure):
    """struct __user_cap_data_struct; version 3 takes two of them, for 64 capabilities."""

    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


def give_up(proc: Path = Path("/proc")) -> None:
    """Leave nothing of root's power to this process, and prove it. First thing a worker does.

    Capabilities belong to threads, so this must come before the first thread starts. Raises InternalError when any
    proof fails: then nothing else may be done.
    """
    if len(list((proc / "self/task").iterdir())) != 1:
        raise InternalError("privileges must be given up before the first thread starts")
    if os.getuid() == 0:
        _empty_root()
    with suppress(OSError):  # an old kernel without ambient capabilities
        _prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL)
    prove_given_up(proc)


def prove_given_up(proc: Path = Path("/proc")) -> None:
    """Raise InternalError unless this thread has no capability and cannot get one back."""
    status = dict(line.split(":", 1) for line in (proc / "self/status").read_text().splitlines() if ":" in line)
    for name in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
        if int(status.get(name, "0"), 16):
            raise InternalError(f"the worker still has privileges: {name} is {status[name].strip()}")
    if _can(lambda: set_capabilities(1 << CAP_NET_ADMIN)):
        raise InternalError("the worker can raise a capability again")
    if os.getuid() == 0:
        if status.get("NoNewPrivs", "").strip() != "1":
            raise InternalError("the worker could gain privileges by running a program")
    elif 0 in os.getresuid() or _can(lambda: os.setuid(0)):
        raise InternalError("the worker can become root again")


def set_capabilities(mask: int) -> None:
    """Set effective and permitted capabilities of this thread to the bits of `mask`, inheritable ones to none.

    capset(2). Raises OSError (EPERM) for one that is not permitted.
    """
    header = _CapHeader(_LINUX_CAPABILITY_VERSION_3, 0)
    low, high = mask & 0xFFFF_FFFF, mask >> 32
    data = (_CapData * 2)(_CapData(low, low, 0), _CapData(high, high, 0))
    if _libc.capset(ctypes.byref(header), data) != 0:
        _raise()


def limit_capabilities(mask: int, *, no_new_privs: bool) -> None:
    """Keep only the capabilities in the bits of `mask`, for this process and whatever it executes.

    What a container runtime does before it starts a container. Raises `OSError`.
    """
    _bound(mask)
    if no_new_privs:
        _prctl(_PR_SET_NO_NEW_PRIVS, 1)


def _bound(mask: int) -> None:
    """Reduce the bounding set; without CAP_SETPCAP, which a container may lack, it stays as it is."""
    for capability in range(64):
        try:
            if not mask >> capability & 1:
                _prctl(_PR_CAPBSET_DROP, capability)
        except OSError as error:
            if error.errno == errno.EINVAL:  # above the last one that this kernel knows
                break
            if error.errno != errno.EPERM:
                raise


def _empty_root() -> None:
    """Bounding set and securebits first, for they need CAP_SETPCAP, which a container may lack: then they stay."""
    _bound(0)
    with suppress(PermissionError):
        _prctl(_PR_SET_SECUREBITS, _SECUREBITS_ALL_LOCKED)
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    set_capabilities(0)


def _can(act: Callable[[], object]) -> bool:
    try:
        act()
    except OSError:
        return False
    return True


def _prctl(option: int, value: int) -> None:
    if _libc.prctl(option, *(ctypes.c_ulong(argument) for argument in (value, 0, 0, 0))) != 0:
        _raise()


def _raise() -> None:
    code = ctypes.get_errno()
    raise OSError(code, os.strerror(code))
