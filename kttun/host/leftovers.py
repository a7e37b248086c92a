"""Find and remove what a helper that died without its undo left on this machine; needs no memory of it.

What lives is never touched, and the kernel knows what lives: a rule or throw route names its TUN by the table's number,
the nameserver in resolv.conf was an address of the TUN, a control socket has a listener. A TUN that is gone, and with
it its address, or a socket that nobody listens on, belonged to the dead.
"""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass, field
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

from kttun.errors import EnvironmentFaultError
from kttun.host.fib import Fib
from kttun.host.helper import Places
from kttun.host.netlink import link_of, our_rules, remove_rule
from kttun.host.resolver.resolvconf import find_leftovers, undo_session
from kttun.host.rtnetlink import open_kernel
from kttun.host.sockets import is_live

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kttun.host.echo import Echo

_OUR_DEVICE = re.compile(r"kttun\d+")
_IFF_PERSIST = 0x0800  # linux/if_tun.h
_SYS_CLASS_NET = Path("/sys/class/net")


@dataclass(frozen=True, slots=True)
class Leftover:
    """One thing to remove: `kind` is rule, routes, device, resolver or socket; `name` is what a person calls it."""

    kind: str
    name: str
    remove: Callable[[Echo], None] = field(repr=False, compare=False)


def find(places: Places | None = None) -> tuple[Leftover, ...]:
    """Return everything that dead sessions left, in the order in which it is best removed. Needs no root."""
    where = places or Places()
    return (
        *_resolver(where.resolv_conf),
        *_rules(),
        *_routes(),
        *_devices(),
        *_sockets(where.run_dir),
    )


def remove(found: tuple[Leftover, ...], echo: Echo) -> None:
    """Remove each; what fails is in `echo.failures` and does not stop the others."""
    for leftover in found:
        try:
            leftover.remove(echo)
        except (EnvironmentFaultError, OSError) as error:
            echo.failed(f"{leftover.kind} {leftover.name}", error)


def _rules() -> Iterator[Leftover]:
    for rule in our_rules():
        if _is_dead(rule.table):
            yield Leftover("rule", f"IPv{rule.version} {rule}", partial(remove_rule, rule))


def _routes() -> Iterator[Leftover]:
    with Fib() as fib:
        tables = sorted({route.table for route in fib.read() if _is_dead(route.table)})
    for table in tables:
        yield Leftover("routes", f"table {table}", partial(_flush, table))


def _devices() -> Iterator[Leftover]:
    """Yield persistent TUNs with our name and nobody at their descriptor; kttun itself makes no persistent ones."""
    for _, name in socket.if_nameindex():
        folder = _SYS_CLASS_NET / name
        if not _OUR_DEVICE.fullmatch(name):
            continue
        try:
            persistent = int((folder / "tun_flags").read_text(), 16) & _IFF_PERSIST
            held = int((folder / "carrier").read_text())
        except (OSError, ValueError):
            # Not a TUN, in another namespace's sysfs, or down: nothing that can be judged.
            continue
        if persistent and not held:
            yield Leftover("device", name, partial(_delete_link, name))


def _resolver(resolv_conf: Path) -> Iterator[Leftover]:
    own = _own_addresses()
    for session in find_leftovers(resolv_conf, lambda address: str(address) in own):
        name = f"{resolv_conf} session {session}"
        yield Leftover("resolver", name, partial(undo_session, resolv_conf, session))


def _sockets(run_dir: Path) -> Iterator[Leftover]:
    for path in sorted(run_dir.glob("*.sock")):
        if not is_live(path):
            yield Leftover("socket", str(path), partial(_unlink, path))


def _is_dead(table: int) -> bool:
    """Say whether this is one of our tables and its TUN is gone."""
    index = link_of(table)
    return index is not None and index not in {number for number, _ in socket.if_nameindex()}


def _own_addresses() -> set[str]:
    with open_kernel("read the addresses of this machine") as kernel:
        return {
            str(ip_address(message.get_attr("IFA_LOCAL") or message.get_attr("IFA_ADDRESS")))
            for message in kernel.get_addr()
        }


def _flush(table: int, echo: Echo) -> None:
    with Fib() as fib:
        routes = [(route.cidr, route.kind) for route in fib.read(table)]
        fib.remove(table, routes)
    echo.did(f"ip route flush table {table}  # {len(routes)} routes")


def _delete_link(name: str, echo: Echo) -> None:
    with open_kernel(f"delete the device {name}") as kernel:
        kernel.link("del", ifname=name)
    echo.did(f"ip link del {name}")


def _unlink(path: Path, echo: Echo) -> None:
    path.unlink(missing_ok=True)
    echo.did(f"rm {path}")
