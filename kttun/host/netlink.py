"""Make the kernel's routing match a `HostConfig`, by differences, and take it back without any memory.

Theory. Each session has one table and one rule a family that sends all look-ups through it, before the main table:

    ip rule  add priority 5107 table 107000000+IFINDEX protocol 107
    ip route add CIDR dev kttunN table ...        ip route add throw EXCLUSION table ...

- The table's number holds the number of the TUN's link. A link that is gone makes its rule and throw routes
  recognisable as left over (`leftovers`); routes into the TUN go with it by themselves.
- A throw route ends the look-up in this table only: an excluded address is routed as if kttun were not there.
- The machine's own addresses (table local, priority 0) are looked up before us. Tailscale (5210) and wg-quick (above
  32000) come behind us, so a network that both claim is ours: the plan has named it as a conflict.
- Order, so that no address is ever in the tunnel that shall not: throws, routes, rule; and backwards.
"""

from __future__ import annotations

import errno
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kttun.host.device import configure_link, link_in_force
from kttun.host.fib import PROTOCOL, Fib, RouteKind
from kttun.host.rtnetlink import NetlinkError, open_kernel

if TYPE_CHECKING:
    from kttun.config import Interface, Network
    from kttun.host.echo import Echo
    from kttun.host.tun import Tun
    from kttun.routing.hostconfig import HostConfig

RULE_PRIORITY = 5107
TABLE_BASE = 107_000_000
FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}

Routes = dict["Network", RouteKind]


@dataclass(frozen=True, slots=True)
class NetworkInForce:
    """What the kernel really has for one session, read back after a change."""

    tun_mtu: int
    addresses: tuple[Interface, ...]
    routes: tuple[Network, ...]
    throws: tuple[Network, ...]
    table: int


@dataclass(frozen=True, slots=True)
class Rule:
    """One policy rule of ours: its family (4 or 6) and table."""

    version: int
    table: int


def table_of(index: int) -> int:
    """Return the routing table of the TUN whose link has this number."""
    return TABLE_BASE + index


def link_of(table: int) -> int | None:
    """Return the link whose table this is, or None when the table is nobody's of us (ifindex has 31 bits)."""
    index = table - TABLE_BASE
    return index if 0 < index <= 0x7FFF_FFFF else None


def apply(tun: Tun, config: HostConfig, echo: Echo) -> NetworkInForce:
    """Make link, addresses, routes and rules what `config` says; doing it again changes nothing.

    Raises EnvironmentFaultError with the step that failed; steps before it stay, and `undo` takes them back.
    """
    configure_link(tun, config.tun_mtu, config.addresses, echo)
    wanted: Routes = dict.fromkeys(config.throws, RouteKind.THROW)
    wanted |= dict.fromkeys(config.routes, RouteKind.INTO_TUN)
    with Fib() as fib:
        present = _present(fib, tun)
        new = [(cidr, kind) for cidr, kind in wanted.items() if present.get(cidr) is not kind]
        old = [(cidr, kind) for cidr, kind in present.items() if cidr not in wanted]
        _put(fib, tun, new, echo)
        _apply_rules(tun, {route.version for route in config.routes}, echo)
        _remove(fib, tun, old, echo)
    return in_force(tun)


def in_force(tun: Tun) -> NetworkInForce:
    """Read what the kernel has for this TUN; needs no root."""
    tun_mtu, addresses = link_in_force(tun)
    with Fib() as fib:
        present = _present(fib, tun)
    return NetworkInForce(
        tun_mtu=tun_mtu,
        addresses=addresses,
        routes=tuple(cidr for cidr, kind in present.items() if kind is RouteKind.INTO_TUN),
        throws=tuple(cidr for cidr, kind in present.items() if kind is RouteKind.THROW),
        table=table_of(tun.index),
    )


def undo(tun: Tun, echo: Echo) -> None:
    """Take back rules and routes; the addresses go with the device. Raises EnvironmentFaultError."""
    _apply_rules(tun, set(), echo)
    with Fib() as fib:
        _remove(fib, tun, list(_present(fib, tun).items()), echo)


def our_rules() -> list[Rule]:
    """Return each rule that a kttun made, of any session; needs no root."""
    found: list[Rule] = []
    with open_kernel("read the policy rules") as kernel:
        for version, family in FAMILIES.items():
            for message in kernel.get_rules(family=family):
                table = message.get_attr("FRA_TABLE") or message["table"]
                made_by_us = message.get_attr("FRA_PROTOCOL") == PROTOCOL
                if made_by_us and message.get_attr("FRA_PRIORITY") == RULE_PRIORITY and link_of(table):
                    found.append(Rule(version, table))
    return found


def remove_rule(rule: Rule, echo: Echo) -> None:
    """Delete one rule; one that is gone already is no error. Raises EnvironmentFaultError."""
    with open_kernel(f"remove the rule of table {rule.table}") as kernel:
        try:
            kernel.rule("del", **_rule_arguments(rule))
        except NetlinkError as error:
            if error.code != errno.ENOENT:
                raise
    echo.did(f"ip -{rule.version} rule del priority {RULE_PRIORITY} table {rule.table}")


def _apply_rules(tun: Tun, versions: set[int], echo: Echo) -> None:
    table = table_of(tun.index)
    present = {rule.version for rule in our_rules() if rule.table == table}
    for version in sorted(versions - present):
        rule = Rule(version, table)
        with open_kernel(f"add the rule of table {table}") as kernel:
            kernel.rule("add", **_rule_arguments(rule))
        echo.did(f"ip -{version} rule add priority {RULE_PRIORITY} table {table} protocol {PROTOCOL}")
    for version in sorted(present - versions):
        remove_rule(Rule(version, table), echo)


def _rule_arguments(rule: Rule) -> dict[str, Any]:
    family = FAMILIES[rule.version]
    return {"family": family, "table": rule.table, "priority": RULE_PRIORITY, "protocol": PROTOCOL}


def _present(fib: Fib, tun: Tun) -> Routes:
    return {route.cidr: route.kind for route in fib.read(table_of(tun.index))}


def _put(fib: Fib, tun: Tun, routes: list[tuple[Network, RouteKind]], echo: Echo) -> None:
    fib.put(table_of(tun.index), routes, tun.index)
    echo.did_all([f"ip route replace {_in_words(tun, cidr, kind)} proto {PROTOCOL}" for cidr, kind in routes])


def _remove(fib: Fib, tun: Tun, routes: list[tuple[Network, RouteKind]], echo: Echo) -> None:
    """Delete routes before throws: what was thrown shall not fall into the tunnel for a moment."""
    ordered = sorted(routes, key=lambda route: route[1] is RouteKind.THROW)
    fib.remove(table_of(tun.index), ordered)
    echo.did_all([f"ip route del {_in_words(tun, cidr, kind)}" for cidr, kind in ordered])


def _in_words(tun: Tun, cidr: Network, kind: RouteKind) -> str:
    table = table_of(tun.index)
    return f"throw {cidr} table {table}" if kind is RouteKind.THROW else f"{cidr} dev {tun.name} table {table}"
