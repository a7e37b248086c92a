"""Try to use root's power, and say for each try what the kernel answered; changes nothing that stays."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import socket
import struct
import sys
import tempfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

TUNSETIFF = 0x400454CA  # linux/if_tun.h
IFF_TUN, IFF_NO_PI = 0x0001, 0x1000
RTM_NEWRULE, RTM_DELRULE = 32, 33  # linux/rtnetlink.h
NLM_F_REQUEST, NLM_F_ACK, NLM_F_CREATE = 0x1, 0x4, 0x400  # linux/netlink.h
TABLE = 77
CAP_NET_ADMIN = 12
CAPABILITY_VERSION_3 = 0x20080522  # linux/capability.h


def become_root() -> None:
    os.setuid(0)


def raise_capability() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    mask = 1 << CAP_NET_ADMIN
    header, data = struct.pack("Ii", CAPABILITY_VERSION_3, 0), struct.pack("6I", mask, mask, 0, 0, 0, 0)
    if libc.capset(header, data):
        raise OSError(ctypes.get_errno(), "capset")


def make_tun() -> None:
    descriptor = os.open("/dev/net/tun", os.O_RDWR)
    try:
        fcntl.ioctl(descriptor, TUNSETIFF, struct.pack("16sH22x", b"regain0", IFF_TUN | IFF_NO_PI))
    finally:
        os.close(descriptor)


def make_rule() -> None:
    """Add a policy rule for a table that is empty, and take it back."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as netlink:
        for kind, flags in ((RTM_NEWRULE, NLM_F_CREATE), (RTM_DELRULE, 0)):
            # struct fib_rule_hdr: family, lengths, tos, table, reserved, action FR_ACT_TO_TBL, flags
            rule = struct.pack("8BI", socket.AF_INET, 0, 0, 0, TABLE, 0, 0, 1, 0)
            length = 16 + len(rule)
            netlink.send(struct.pack("IHHII", length, kind, NLM_F_REQUEST | NLM_F_ACK | flags, 1, 0) + rule)
            (code,) = struct.unpack_from("i", netlink.recv(4096), 16)
            if code:
                raise OSError(-code, os.strerror(-code))


def give_away() -> None:
    """Give a file of one's own to somebody else, which needs CAP_CHOWN."""
    with tempfile.NamedTemporaryFile() as file:
        os.chown(file.name, 12345, -1)


def answer(act: Callable[[], None]) -> str:
    try:
        act()
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, str(error))
    return "done"


TRIES = {
    "setuid": become_root,
    "TUNSETIFF": make_tun,
    "RTM_NEWRULE": make_rule,
    "chown": give_away,
    "capset": raise_capability,  # last, for it gives all others up
}

if __name__ == "__main__":
    for name, act in TRIES.items():
        sys.stdout.write(f"{name}:{answer(act)}\n")
