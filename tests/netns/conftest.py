"""Every test here runs in network and mount namespaces of its own: the machine's routes and files are never touched."""

import ctypes
import os
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pyroute2
import pytest

import kttun
from kttun.host.echo import Echo
from kttun.host.tun import DEVICE, ensure_device_node, open_tun

CLONE_NEWNS, CLONE_NEWNET = 0x0002_0000, 0x4000_0000
MS_BIND, MS_REC, MS_PRIVATE = 0x1000, 0x4000, 0x4_0000

_libc = ctypes.CDLL(None, use_errno=True)


def pytest_collection_modifyitems(items):
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.netns)
            item.add_marker(pytest.mark.skipif(os.geteuid() != 0, reason="makes namespaces, which needs root"))


def call(function, *arguments):
    if function(*arguments) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def mount(source, target, kind, flags=0):
    call(_libc.mount, source.encode(), str(target).encode(), kind.encode(), ctypes.c_ulong(flags), None)


@pytest.fixture(autouse=True)
def namespaces():
    """Move this process into new namespaces for one test; /run and /sys are its own as well."""
    cwd = Path.cwd()
    homes = [os.open(f"/proc/self/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC) for kind in ("net", "mnt")]
    call(_libc.unshare, CLONE_NEWNET | CLONE_NEWNS)
    try:
        mount("none", "/", "none", MS_REC | MS_PRIVATE)
        mount("kttun-test", "/run", "tmpfs")
        mount("kttun-test", "/sys", "sysfs")
        Path("/run").chmod(0o755)
        # Mode 0666, as distributions ship it: whoever may open it has still to prove a right to make a device.
        mount("kttun-test", "/dev/net", "tmpfs")
        ensure_device_node()
        DEVICE.chmod(0o666)
        Path("/dev/net").chmod(0o755)
        sh("ip link set lo up")
        yield
    finally:
        for home in homes:
            call(_libc.setns, home, 0)
            os.close(home)
        os.chdir(cwd)


def sh(line):
    """Run a shell line; return what it printed."""
    return subprocess.run(line, shell=True, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def run():
    return sh


@pytest.fixture
def machine():
    """A function that tells everything a session could change on this machine."""

    def tell():
        shown = ("-o link", "-o address", "rule", "-6 rule", "route show table all", "-6 route show table all")
        state = {what: sh(f"ip {what}") for what in shown}
        return state | {"run": sorted(str(path) for path in Path("/run").rglob("*.sock"))}

    return tell


@pytest.fixture
def echo():
    return Echo()


@pytest.fixture
def tun():
    opened = open_tun()
    yield opened
    opened.close()


@pytest.fixture
def device(run):
    """A function that makes an interface of somebody else, up, with addresses."""

    def make(name, *addresses):
        run(f"ip tuntap add dev {name} mode tun && ip link set dev {name} up")
        for address in addresses:
            run(f"ip address add {address} dev {name}")
        return socket.if_nametoindex(name)

    return make


@dataclass
class Python:
    """This interpreter, kttun and the programs beside this file, where every user can read them."""

    interpreter: Path
    programs: Path
    environment: dict[str, str]


@pytest.fixture
def python():
    """Bind them into /run: the way to where they are may be closed for others (a home directory)."""
    here = Path(__file__).parent
    folders = {
        "prefix": Path(sys.base_prefix),
        "packages": Path(pyroute2.__file__).parents[1],
        "kttun": Path(kttun.__file__).parent,
        "programs": here / "programs",
    }
    place = Path("/run/python")
    for name, folder in folders.items():
        (place / name).mkdir(parents=True)
        mount(str(folder), place / name, "none", MS_BIND)
    interpreter = place / "prefix" / Path(sys.executable).resolve().relative_to(sys.base_prefix)
    search = f"{place}:{place / 'packages'}"
    return Python(interpreter, place / "programs", {"PYTHONPATH": search, "PYTHONDONTWRITEBYTECODE": "1"})
