"""Ask the kernel how this machine routes now. Needs no root: the worker plans with it and checks before and after."""

from __future__ import annotations

import errno
import socket
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_interface, ip_network
from typing import TYPE_CHECKING, Any

from kttun.host.fib import Fib, RouteKind
from kttun.host.netlink import FAMILIES, link_of, our_rules
from kttun.host.owners import guess_owner
from kttun.host.rtnetlink import NetlinkError, open_kernel
from kttun.routing.plan import ConnectedNetwork, ExistingRoute

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kttun.config import Network

Address = IPv4Address | IPv6Address

_RTM_F_LOOKUP_TABLE = 0x1000  # linux/rtnetlink.h: say which table decided, instead of always "main"
_RT_TABLE_LOCAL = 255
_RTN_UNICAST = 1
_NO_WAY = frozenset({errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EACCES, errno.EINVAL, errno.ENETDOWN})
"""What `unreachable`, `prohibit` and `blackhole` routes, and no route at all, answer (ip-route(8))."""


@dataclass(frozen=True, slots=True)
class RouteLookUp:
    """The kernel's answer for one address, as `ip route get` shows it."""

    device: str
    gateway: Address | None
    source: Address | None
    table: int


@dataclass(frozen=True, slots=True)
class DefaultGateway:
    """The next hop of a default route; `address` None on a point-to-point link."""

    device: str
    address: Address | None


def look_up(address: Address) -> RouteLookUp | None:
    """Return how a packet to this address would leave, or None when it could not."""
    with open_kernel(f"look up the route to {address}") as kernel:
        try:
            family = FAMILIES[address.version]
            (answer,) = kernel.route("get", dst=str(address), family=family, flags=_RTM_F_LOOKUP_TABLE)
        except NetlinkError as error:
            if error.code in _NO_WAY:
                return None
            raise
        return RouteLookUp(
            device=socket.if_indextoname(answer.get_attr("RTA_OIF")),
            gateway=_gateway(answer),
            source=_address(answer.get_attr("RTA_PREFSRC")),
            table=int(answer.get_attr("RTA_TABLE") or answer["table"]),
        )


def connected_networks() -> tuple[ConnectedNetwork, ...]:
    """Return the networks of this machine's own addresses, but for loopback, link-local, and the TUNs of kttun."""
    ours = _our_links()
    found: dict[ConnectedNetwork, None] = {}
    with open_kernel("read the addresses of this machine") as kernel:
        for message in kernel.get_addr():
            # IFA_ADDRESS is the far end on a point-to-point link, which is what that link connects to.
            network = ip_interface(f"{message.get_attr('IFA_ADDRESS')}/{message['prefixlen']}").network
            own = message.get_attr("IFA_LOCAL") or message.get_attr("IFA_ADDRESS")
            alone = network.prefixlen == network.max_prefixlen and network.network_address == ip_address(own)
            if message["index"] not in ours and not (alone or network.is_loopback or network.is_link_local):
                found[ConnectedNetwork(network, socket.if_indextoname(message["index"]))] = None
    return tuple(found)


def default_gateways() -> tuple[DefaultGateway, ...]:
    """Return the next hops of all default routes but ours."""
    ours = _our_links()
    found: dict[DefaultGateway, None] = {}
    for message in _routes():
        if message["dst_len"] == 0:
            for hop in _next_hops(message):
                if hop.index not in ours:
                    found[DefaultGateway(socket.if_indextoname(hop.index), hop.gateway)] = None
    return tuple(found)


def existing_routes() -> tuple[ExistingRoute, ...]:
    """Return all other routes to networks, with a guess at who made them; not ours, local or link-local ones."""
    ours = _our_links()
    found: dict[ExistingRoute, None] = {}
    for message in _routes():
        if message["dst_len"] == 0:
            continue
        network: Network = ip_network(f"{message.get_attr('RTA_DST')}/{message['dst_len']}")
        if network.is_loopback or network.is_link_local or network.is_multicast:
            continue
        for hop in _next_hops(message):
            if hop.index not in ours:
                device = socket.if_indextoname(hop.index)
                found[ExistingRoute(network, device, guess_owner(device, message["proto"]))] = None
    return tuple(found)


def networks_of_sessions() -> dict[str, tuple[Network, ...]]:
    """Return what each living session of kttun routes into its TUN, by the TUN's name."""
    names = dict(socket.if_nameindex())
    found: dict[str, tuple[Network, ...]] = {}
    with Fib() as fib:
        for route in fib.read():
            index = link_of(route.table)
            if route.kind is RouteKind.INTO_TUN and index in names:
                found[names[index]] = (*found.get(names[index], ()), route.cidr)
    return found


@dataclass(frozen=True, slots=True)
class _NextHop:
    index: int
    gateway: Address | None


def _routes() -> Iterator[Any]:
    """Yield each unicast route of any table but `local` and ours."""
    with open_kernel("read the routes of this machine") as kernel:
        for family in FAMILIES.values():
            for message in kernel.get_routes(family=family):
                table = message.get_attr("RTA_TABLE") or message["table"]
                if message["type"] == _RTN_UNICAST and table != _RT_TABLE_LOCAL and link_of(table) is None:
                    yield message


def _next_hops(message: Any) -> list[_NextHop]:
    """Return where a route leads; several for a multipath route."""
    hops = message.get_attr("RTA_MULTIPATH")
    if hops:
        return [_NextHop(hop["oif"], _gateway(hop) or _gateway(message)) for hop in hops]
    index = message.get_attr("RTA_OIF")
    return [] if index is None else [_NextHop(index, _gateway(message))]


def _gateway(message: Any) -> Address | None:
    """Return the next hop, which may be of the other family (RTA_VIA, RFC 5549)."""
    if via := message.get_attr("RTA_VIA"):
        return _address(via["addr"])
    return _address(message.get_attr("RTA_GATEWAY"))


def _address(text: str | None) -> Address | None:
    return None if text is None else ip_address(text)


def _our_links() -> set[int]:
    """Return the links of all sessions of kttun that have routes now."""
    return {index for rule in our_rules() if (index := link_of(rule.table)) is not None}
