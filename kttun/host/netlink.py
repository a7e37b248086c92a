"""Make the kernel's routing match a `HostConfig`, by differences, and take it back without any memory.

Theory. Each session has one table, and sends look-ups through it before the main table by two rules a family:

    ip rule  add priority 5006 from ADDRESS table 107000000+IFINDEX protocol 107
    ip rule  add priority 5107              table 107000000+IFINDEX protocol 107
    ip route add CIDR dev kttunN table ...        ip route add throw EXCLUSION table ...

- Several sessions may route the same networks: two namespaces of one cluster do. The one that began last takes what
  begins from now on, since its second rule gets a priority before those that are there (5106, 5105...). A flow that has
  begun has the address of its session's TUN as its source, and the first rule keeps it there, whoever else comes or
  goes: in another TUN it would be dropped for its source. What has no source yet, each datagram of a socket that is
  not connected, goes with the last session.
- The table's number holds the number of the TUN's link. A link that is gone makes its rule and throw routes
  recognisable as left over (`leftovers`); routes into the TUN go with it by themselves.
- A throw route ends the look-up in this table only: an excluded address is routed as if kttun were not there.
- The machine's own addresses (table local, priority 0) are looked up before us. Tailscale (5210) and wg-quick (above
  32000) come behind us, so a network that both claim is ours: the plan has named it as a conflict.
- Order, so that no address is ever in the tunnel that shall not: throws, routes, rules; and backwards.
"""

from __future__ import annotations

import errno
import socket
from dataclasses import dataclass, replace
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from kttun.host.device import configure_link, link_in_force
from kttun.host.fib import PROTOCOL, Fib, RouteKind
from kttun.host.rtnetlink import NetlinkError, open_kernel

if TYPE_CHECKING:
    from kttun.config import Interface, Network
    from kttun.host.echo import Echo
    from kttun.host.tun import Tun
    from kttun.routing.hostconfig import HostConfig
    from kttun.routing.names import Address

RULE_PRIORITY = 5107
"""Of the first session; each later one's is one less while those before it live, down to `FIRST_PRIORITY`."""
FIRST_PRIORITY = 5007
SOURCE_PRIORITY = 5006
"""Of the rules for the TUNs' own addresses, before all of the others."""
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
    """One policy rule of ours: its family (4 or 6), its table, and the source it asks for, if any."""

    version: int
    table: int
    priority: int = RULE_PRIORITY
    source: Address | None = None

    def __str__(self) -> str:
        """Give the words of `ip rule` that name it."""
        source = "" if self.source is None else f"from {self.source} "
        return f"priority {self.priority} {source}table {self.table}"


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
        _apply_rules(tun, _wanted_rules(tun, config), echo)
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
    _apply_rules(tun, [], echo)
    with Fib() as fib:
        _remove(fib, tun, list(_present(fib, tun).items()), echo)


def our_rules() -> list[Rule]:
    """Return each rule that a kttun made, of any session; needs no root."""
    found: list[Rule] = []
    with open_kernel("read the policy rules") as kernel:
        for version, family in FAMILIES.items():
            for message in kernel.get_rules(family=family):
                table = message.get_attr("FRA_TABLE") or message["table"]
                if message.get_attr("FRA_PROTOCOL") == PROTOCOL and link_of(table):
                    source = message.get_attr("FRA_SRC")
                    priority = message.get_attr("FRA_PRIORITY") or 0
                    found.append(Rule(version, table, priority, ip_address(source) if source else None))
    return found


def remove_rule(rule: Rule, echo: Echo) -> None:
    """Delete one rule; one that is gone already is no error. Raises EnvironmentFaultError."""
    with open_kernel(f"remove the rule of table {rule.table}") as kernel:
        try:
            kernel.rule("del", **_rule_arguments(rule))
        except NetlinkError as error:
            if error.code != errno.ENOENT:
                raise
    echo.did(f"ip -{rule.version} rule del {rule}")


def _wanted_rules(tun: Tun, config: HostConfig) -> list[Rule]:
    """Give the rules of a configuration; the priority of those for any source is still open."""
    table = table_of(tun.index)
    versions = sorted({route.version for route in config.routes})
    sources = [address.ip for address in config.addresses if address.version in versions]
    own = [Rule(source.version, table, SOURCE_PRIORITY, source) for source in sources]
    return own + [Rule(version, table) for version in versions]


def _apply_rules(tun: Tun, wanted: list[Rule], echo: Echo) -> None:
    """Add what is missing, those for our own source first; then take away what is too much, those last."""
    every = our_rules()
    present = {(rule.version, rule.source): rule for rule in every if rule.table == table_of(tun.index)}
    keys = {(rule.version, rule.source) for rule in wanted}
    for rule in wanted:
        if (rule.version, rule.source) not in present:
            placed = rule if rule.source else replace(rule, priority=_before(every, rule.version))
            with open_kernel(f"add the rule of table {rule.table}") as kernel:
                kernel.rule("add", **_rule_arguments(placed))
            echo.did(f"ip -{rule.version} rule add {placed} protocol {PROTOCOL}")
    for key, rule in sorted(present.items(), key=lambda each: each[1].priority, reverse=True):
        if key not in keys:
            remove_rule(rule, echo)


def _before(rules: list[Rule], version: int) -> int:
    """Give the priority before that of every session that is there; at the end of ours they share the first one."""
    taken = [rule.priority for rule in rules if rule.version == version and rule.source is None]
    return max(FIRST_PRIORITY, min([RULE_PRIORITY + 1, *taken]) - 1)


def _rule_arguments(rule: Rule) -> dict[str, Any]:
    arguments: dict[str, Any] = {"family": FAMILIES[rule.version], "table": rule.table, "protocol": PROTOCOL}
    arguments["priority"] = rule.priority
    if rule.source is not None:
        arguments |= {"src": str(rule.source), "src_len": rule.source.max_prefixlen}
    return arguments


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
