"""The door to pyroute2: how it is opened, and how the kernel's refusals become messages."""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pyroute2.iproute.linux import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from kttun.errors import EnvironmentFaultError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["IPRoute", "NetlinkError", "explained", "open_kernel"]


@contextmanager
def open_kernel(what: str) -> Iterator[IPRoute]:
    """Open a netlink socket for WHAT, and speak for it as `explained` does."""
    with explained(what), IPRoute() as kernel:  # type: ignore[no-untyped-call]  # pyroute2 has no annotations
        yield kernel


@contextmanager
def explained(what: str) -> Iterator[None]:
    """Turn the kernel's errno into an EnvironmentFaultError "cannot WHAT: REASON"."""
    try:
        yield
    except NetlinkError as error:
        raise _in_words(what, int(error.code)) from error
    except OSError as error:
        raise _in_words(what, error.errno or 0) from error


def _in_words(what: str, code: int) -> EnvironmentFaultError:
    hints = {
        errno.EPERM: ("this needs CAP_NET_ADMIN: run it by sudo",),
        errno.EACCES: ("IPv6 may be turned off here: sysctl net.ipv6.conf.all.disable_ipv6",),
        errno.ENODEV: ("somebody took the device away while the session was up",),
    }
    return EnvironmentFaultError(f"cannot {what}: {os.strerror(code)}", *hints.get(code, ()))
