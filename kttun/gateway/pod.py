"""What the pod is like, read from the pod itself: it needs no right in the cluster, and is what really is in force."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

PROC_SYS = Path("/proc/sys/net")
SYS_NET = Path("/sys/class/net")
RESOLV_CONF = Path("/etc/resolv.conf")

USUAL_MTU = 1500


@dataclass(frozen=True, slots=True)
class ResolvConf:
    """The two lines of resolv.conf(5) that tell about the cluster's names."""

    nameservers: tuple[str, ...]
    search: tuple[str, ...]


def read_resolv_conf(path: Path = RESOLV_CONF) -> ResolvConf:
    """Read a pod's resolv.conf as the kubelet wrote it; a missing file gives empty lists.

    The last `search` line wins, as resolv.conf(5) says.
    """
    nameservers: list[str] = []
    search: list[str] = []
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    for line in lines:
        match line.split():
            case ["nameserver", address, *_]:
                nameservers.append(address)
            case ["search", *domains]:
                search = domains
    return ResolvConf(tuple(nameservers), tuple(search))


def forwards(version: int, proc_sys: Path = PROC_SYS) -> bool:
    """Tell whether this pod's kernel forwards packets of an IP version (ip-sysctl: ip_forward, forwarding).

    A pod inherits this from its node and its CNI (Calico writes 0); it cannot be set from an unprivileged mount.
    """
    name = "ipv4/ip_forward" if version == 4 else "ipv6/conf/all/forwarding"
    try:
        return (proc_sys / name).read_text().strip() == "1"
    except OSError:
        return False


def mtu(device: str | None, sys_net: Path = SYS_NET) -> int:
    """Give a device's MTU in bytes; the usual 1500 without a device or where sysfs is not mounted."""
    try:
        return int((sys_net / str(device) / "mtu").read_text())
    except (OSError, ValueError):
        return USUAL_MTU
