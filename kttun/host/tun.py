"""Open a TUN device that carries whole super-packets; the laptop's helper and the gateway in the pod use it.

Each packet read or written has a `virtio_net_hdr` of 10 bytes before it (IFF_VNET_HDR), so that 64 KiB TCP and UDP
packets cross unsegmented. The device is not persistent: it goes, with its routes, when its last descriptor is closed.
Sources: linux/if_tun.h, linux/virtio_net.h, Documentation/networking/tuntap.rst.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import struct
from dataclasses import dataclass
from enum import IntFlag
from pathlib import Path
from socket import if_nametoindex

import pytun

from kttun.errors import EnvironmentFaultError
from kttun.routing.hostconfig import OffloadWish

DEVICE = Path("/dev/net/tun")
NAME_PATTERN = "kttun%d"
"""The kernel puts the first free number in place of %d (dev_alloc_name)."""

VNET_HDR_BYTES = 10
"""sizeof(struct virtio_net_hdr), the default that TUNSETVNETHDRSZ could change."""

# ioctl numbers of linux/if_tun.h, _IOW('T', n, int-sized)
_TUNSETOFFLOAD = 0x4004_54D0
_TUNSETVNETHDRSZ = 0x4004_54D8

_TUN_DEVICE_NUMBER = os.makedev(10, 200)
"""Documentation/admin-guide/devices.txt: misc device 200 is /dev/net/tun."""


class Offload(IntFlag):
    """What the kernel may hand to the reader of a TUN: TUN_F_* of linux/if_tun.h."""

    NONE = 0
    CSUM = 0x01
    TSO4 = 0x02
    TSO6 = 0x04
    USO4 = 0x20
    USO6 = 0x40

    TCP = CSUM | TSO4 | TSO6
    UDP = USO4 | USO6


@dataclass(frozen=True, slots=True)
class Tun:
    """An open TUN: non-blocking, not inherited by programs. `close` it, or hand `fd` on."""

    fd: int
    name: str
    index: int
    """The kernel's number of the link; it is not given to another link while this network namespace lives."""
    offloads: Offload
    """What is in force; a packet of another kind is never read, and writing one may fail with EINVAL."""

    def fileno(self) -> int:
        """Return the descriptor, for selectors."""
        return self.fd

    def close(self) -> None:
        """Give the descriptor back; the device goes with the last one."""
        os.close(self.fd)


def open_tun(name: str | None = None, wish: OffloadWish = OffloadWish.ALL, device: Path = DEVICE) -> Tun:
    """Make a TUN of this name (None: the first free `kttunN`), down and without addresses.

    Needs CAP_NET_ADMIN. Raises EnvironmentFaultError when there is no device node, no right, no driver, or when a link
    of this name exists: somebody else's device is never attached to.
    """
    flags = pytun.IFF_TUN | pytun.IFF_NO_PI | pytun.IFF_VNET_HDR | pytun.IFF_TUN_EXCL
    try:
        opened = pytun.TunTapDevice(name=name or NAME_PATTERN, flags=flags, dev=str(device))
    except OSError as error:
        raise _refusal(error, name, device) from error
    # os.dup gives a descriptor with CLOEXEC (PEP 446), which pytun's own lacks.
    fd = os.dup(opened.fileno())
    real_name = str(opened.name)
    opened.close()
    try:
        os.set_blocking(fd, False)
        fcntl.ioctl(fd, _TUNSETVNETHDRSZ, struct.pack("i", VNET_HDR_BYTES))
        return Tun(fd, real_name, if_nametoindex(real_name), set_offloads(fd, wish))
    except BaseException:
        os.close(fd)
        raise


def set_offloads(fd: int, wish: OffloadWish) -> Offload:
    """Allow the kernel to hand over super-packets; return what it agreed to.

    Each call replaces the last one. TCP comes first and UDP is tried on top, because a kernel before 6.2 knows no USO
    and refuses the whole set then; USO4 and USO6 are only taken together, and only with CSUM.
    """
    wishes = {
        OffloadWish.ALL: (Offload.TCP | Offload.UDP, Offload.TCP, Offload.CSUM),
        OffloadWish.TCP: (Offload.TCP, Offload.CSUM),
        OffloadWish.NONE: (),
    }
    for offloads in wishes[wish]:
        try:
            fcntl.ioctl(fd, _TUNSETOFFLOAD, int(offloads))
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
        else:
            return offloads
    fcntl.ioctl(fd, _TUNSETOFFLOAD, int(Offload.NONE))
    return Offload.NONE


def ensure_device_node(device: Path = DEVICE) -> None:
    """Make the device node where it is missing, as in containers, which get the right to it but no node.

    Needs CAP_MKNOD. Raises EnvironmentFaultError when the node cannot be made, or when something else has its name.
    """
    try:
        device.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        os.mknod(device, stat.S_IFCHR | 0o666, _TUN_DEVICE_NUMBER)
    except FileExistsError:
        if device.is_char_device():
            return
        raise EnvironmentFaultError(f"{device} exists and is not a device") from None
    except OSError as error:
        raise EnvironmentFaultError(
            f"cannot make {device}: {error.strerror}",
            "the container needs CAP_MKNOD (its user namespace must be the host's), or the node from outside",
        ) from error


def _refusal(error: OSError, name: str | None, device: Path) -> EnvironmentFaultError:
    hints = {
        errno.ENOENT: (f"{device} does not exist", "load the driver: modprobe tun"),
        errno.ENODEV: ("the kernel has no TUN driver", "load the driver: modprobe tun"),
        errno.EPERM: ("no right to make a TUN device", "CAP_NET_ADMIN is needed: run it by sudo"),
        errno.EACCES: (f"no right to open {device}", "run it by sudo"),
        errno.EBUSY: (f"a device {name} exists", "choose another one by --tun-name, or leave the choice to kttun"),
    }
    text = f"cannot open a TUN device: {error.strerror or error.args[-1]}"
    return EnvironmentFaultError(*hints.get(error.errno or 0, (text,)))
