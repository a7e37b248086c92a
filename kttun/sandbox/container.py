"""What a process does to itself to become a pod's container: own view of files and devices, no more rights than asked.

It is a view, not a jail: the machine's files stay readable, as this machine's programs are the images. What is real:
network, process and host-name namespaces, /proc, /sys and /dev, the kubelet's /etc/hosts and /etc/resolv.conf,
capabilities, user and no_new_privs. There is no seccomp, no cgroup, and no volume.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from kttun.host.privileges import limit_capabilities
from kttun.sandbox.namespaces import (
    BIND,
    NEWNET,
    NEWNS,
    NEWUTS,
    NODEV,
    NOEXEC,
    NOSUID,
    PRIVATE,
    RDONLY,
    REC,
    REMOUNT,
    mount,
    sethostname,
    setns,
    unshare,
)
from kttun.sandbox.openpaths import needed, open_ways

_DEVICES = {"null": (1, 3), "zero": (1, 5), "full": (1, 7), "random": (1, 8), "urandom": (1, 9), "tty": (5, 0)}
"""The devices that a container has (Open Container Initiative runtime specification, "Default Devices")."""


@dataclass(frozen=True, slots=True)
class ContainerSpec:
    """One container, ready to be started; plain values only, since it crosses a socket."""

    id: str
    pod: str
    """The pod's uid."""
    hostname: str
    command: tuple[str, ...]
    """Words to execute, or ("example", NAME) for a program of `examples`."""
    environment: dict[str, str]
    files: str
    """The folder with the pod's `hosts` and `resolv.conf`."""
    user: int
    """User and group."""
    capabilities: int
    """The bounding set as bits (linux/capability.h); what root may do inside, and nobody else anything."""
    no_new_privs: bool


def become(spec: ContainerSpec, network: int) -> None:
    """Change this process, PID 1 of its PID namespace already, into the container; what is left is to run.

    Raises `OSError`.
    """
    setns(network, NEWNET)
    unshare(NEWNS | NEWUTS)
    sethostname(spec.hostname)
    _mount(Path(spec.files))
    open_ways(needed())
    limit_capabilities(spec.capabilities, no_new_privs=spec.no_new_privs)
    os.setgroups([spec.user])
    os.setresgid(spec.user, spec.user, spec.user)
    os.setresuid(spec.user, spec.user, spec.user)
    os.chdir("/")


def _mount(files: Path) -> None:
    mount("none", Path("/"), flags=REC | PRIVATE)
    mount("proc", Path("/proc"), "proc", NOSUID | NODEV | NOEXEC)
    mount("/proc/sys", Path("/proc/sys"), flags=BIND)
    mount("none", Path("/proc/sys"), flags=BIND | REMOUNT | RDONLY | NOSUID | NODEV | NOEXEC)
    # /sys/class/net shows the devices of whoever mounted it.
    mount("sysfs", Path("/sys"), "sysfs", NOSUID | NODEV | NOEXEC | RDONLY)
    for name in ("hosts", "resolv.conf"):
        mount(str(files / name), Path("/etc", name).resolve(strict=True), flags=BIND)
    _mount_devices()


def _mount_devices() -> None:
    """Make a /dev without the machine's devices, and without /dev/net, as container runtimes do."""
    dev = Path("/dev")
    mount("tmpfs", dev, "tmpfs", NOSUID, "mode=755")
    for name, (major, minor) in _DEVICES.items():
        os.mknod(dev / name, stat.S_IFCHR, os.makedev(major, minor))
        (dev / name).chmod(0o666)
    for name, target in (("fd", "self/fd"), ("stdin", "self/fd/0"), ("stdout", "self/fd/1"), ("stderr", "self/fd/2")):
        (dev / name).symlink_to(Path("/proc", target))
    (dev / "shm").mkdir()
    (dev / "shm").chmod(0o1777)
