"""The desired state of this machine, as the worker asks for it and the privileged helper makes it true.

The JSON form crosses from an unprivileged process to root, so `from_json` is a gate: it takes nothing on trust, knows
every key, bounds every count, and accepts only the text that `to_json` writes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import ip_address, ip_interface, ip_network
from typing import TYPE_CHECKING, NoReturn, TypeVar

from kttun.config import DnsMode
from kttun.routing.invalid import InvalidValueError
from kttun.routing.linklocal import is_cluster_dns
from kttun.routing.names import Address, ResolverPlan

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from kttun.config import Interface, Network

T = TypeVar("T")

MAX_ROUTES = 20_000
"""Routes and throws together: well above any namespace's addresses, and bounded memory in the helper."""
MAX_ADDRESSES = 8
MAX_DOMAINS = 32
MIN_TUN_MTU = 1280
"""IPv6 asks for it of every link (RFC 8200 section 5); IPv4 pods with less are not known."""
MAX_TUN_MTU = 65_535

SESSION_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
"""A session's name becomes a file name and a comment: no slash, no leading dot, at most 63 characters."""
DEVICE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,14}")
"""IFNAMSIZ of linux/if.h is 16 with the final NUL; '%' would be a pattern and '/' a path."""


class OffloadWish(StrEnum):
    """Which super-packets the kernel may hand to the TUN's reader; `tun` reports which of them it does."""

    NONE = "none"
    TCP = "tcp"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class HostConfig:
    """What the helper makes true for one session; checked when it is made (InvalidValueError).

    `tun_name` None is the first free `kttunN`. `addresses` are those of the TUN. `routes` go into it, `throws` go on as
    if it were not there. `dns_listen` are the TUN's addresses on which port 53 is wanted, UDP and TCP. `control_socket`
    asks for the listening Unix socket of the session. The TUN's name and offloads are settled by the first
    configuration and stay.
    """

    session: str
    tun_mtu: int
    tun_name: str | None = None
    offloads: OffloadWish = OffloadWish.ALL
    addresses: tuple[Interface, ...] = ()
    routes: tuple[Network, ...] = ()
    throws: tuple[Network, ...] = ()
    resolver: ResolverPlan | None = None
    dns_listen: tuple[Address, ...] = ()
    control_socket: bool = False

    def __post_init__(self) -> None:
        """Refuse what no host could be brought into, by InvalidValueError."""
        _check_names(self)
        _check_addresses(self)
        _check_routes(self)

    def to_json(self) -> dict[str, object]:
        """Return the document that `from_json` accepts."""
        return {
            "session": self.session,
            "tun_mtu": self.tun_mtu,
            "tun_name": self.tun_name,
            "offloads": self.offloads.value,
            "addresses": [str(address) for address in self.addresses],
            "routes": [str(route) for route in self.routes],
            "throws": [str(throw) for throw in self.throws],
            "resolver": None if self.resolver is None else _resolver_to_json(self.resolver),
            "dns_listen": [str(address) for address in self.dns_listen],
            "control_socket": self.control_socket,
        }

    @classmethod
    def from_json(cls, document: object) -> HostConfig:
        """Read a document of parsed JSON; anything but the output of `to_json` raises InvalidValueError."""
        keys = _exactly(document, "host configuration", cls.__slots__)
        resolver = keys["resolver"]
        tun_name = keys["tun_name"]
        return cls(
            session=_text(keys["session"], "session"),
            tun_mtu=_whole(keys["tun_mtu"], "tun_mtu"),
            tun_name=None if tun_name is None else _text(tun_name, "tun_name"),
            offloads=_read(OffloadWish, keys["offloads"], "offloads"),
            addresses=_list_of(ip_interface, keys["addresses"], "addresses", MAX_ADDRESSES),
            routes=_list_of(ip_network, keys["routes"], "routes", MAX_ROUTES),
            throws=_list_of(ip_network, keys["throws"], "throws", MAX_ROUTES),
            resolver=None if resolver is None else _resolver_from_json(resolver),
            dns_listen=_list_of(ip_address, keys["dns_listen"], "dns_listen", MAX_ADDRESSES),
            control_socket=_truth(keys["control_socket"], "control_socket"),
        )


def check_session_name(name: str) -> None:
    """Raise InvalidValueError unless a session may be called so."""
    if not SESSION_NAME.fullmatch(name):
        _refuse(f"session {name[:80]!r} is not a name of letters, digits, '.', '_' and '-' (at most 63)")


def _check_names(config: HostConfig) -> None:
    check_session_name(config.session)
    if config.tun_name is not None and not DEVICE_NAME.fullmatch(config.tun_name):
        _refuse(f"tun_name {config.tun_name[:80]!r} is not a device name (letters, digits, '.', '_', '-', at most 15)")
    if not MIN_TUN_MTU <= config.tun_mtu <= MAX_TUN_MTU:
        _refuse(f"tun_mtu {config.tun_mtu} is not between {MIN_TUN_MTU} and {MAX_TUN_MTU}")


def _check_addresses(config: HostConfig) -> None:
    own = [interface.ip for interface in config.addresses]
    for interface in config.addresses:
        if "%" in str(interface):
            _refuse(f"address {interface} has a zone, which no address of the TUN has")
    for address in own:
        if address.is_loopback or address.is_multicast or address.is_unspecified or address.is_link_local:
            _refuse(f"address {address} cannot be the TUN's (loopback, multicast, unspecified or link-local)")
    _distinct("addresses", own)
    _distinct("dns_listen", config.dns_listen)
    nameservers = () if config.resolver is None else config.resolver.nameservers
    for address in (*config.dns_listen, *nameservers):
        if address not in own:
            _refuse(f"DNS address {address} is not an address of the TUN")


def _check_routes(config: HostConfig) -> None:
    every = (*config.routes, *config.throws)
    if len(every) > MAX_ROUTES:
        _refuse(f"{len(every)} routes are more than the {MAX_ROUTES} that one session may have")
    _distinct("routes and throws", every)
    families = {address.version for address in config.addresses}
    for route in config.routes:
        foreign = route.is_loopback or route.is_multicast or (route.is_link_local and not is_cluster_dns(route))
        if route.prefixlen and foreign:
            _refuse(f"route {route} cannot enter a TUN (loopback, multicast or link-local)")
        if route.version not in families:
            _refuse(f"route {route} needs an IPv{route.version} address of the TUN as its source")


def _resolver_to_json(plan: ResolverPlan) -> dict[str, object]:
    return {
        "nameservers": [str(address) for address in plan.nameservers],
        "search": list(plan.search),
        "routing_domains": list(plan.routing_domains),
        "mode": plan.mode.value,
    }


def _resolver_from_json(document: object) -> ResolverPlan:
    keys = _exactly(document, "resolver", ResolverPlan.__slots__)
    return ResolverPlan(
        nameservers=_list_of(ip_address, keys["nameservers"], "nameservers", MAX_ADDRESSES),
        search=_list_of(str, keys["search"], "search", MAX_DOMAINS),
        routing_domains=_list_of(str, keys["routing_domains"], "routing_domains", MAX_DOMAINS),
        mode=_read(DnsMode, keys["mode"], "mode"),
    )


def _exactly(document: object, what: str, names: Iterable[str]) -> dict[str, object]:
    if not isinstance(document, dict):
        _refuse(f"{what} is not an object")
    if set(document) != set(names):
        odd = sorted(str(key)[:40] for key in set(document) ^ set(names))
        _refuse(f"{what} has missing or unknown keys: {', '.join(odd[:5])}")
    return document


def _list_of(parse: Callable[[str], T], value: object, what: str, limit: int) -> tuple[T, ...]:
    if not isinstance(value, list):
        _refuse(f"{what} is not a list")
    if len(value) > limit:
        _refuse(f"{what} has {len(value)} entries, more than {limit}")
    return tuple(_read(parse, entry, what) for entry in value)


def _read(parse: Callable[[str], T], value: object, what: str) -> T:
    """Parse a text, and take only the one spelling that we write ourselves."""
    text = _text(value, what)
    try:
        parsed = parse(text)
    except ValueError as error:
        raise InvalidValueError(f"{what}: {text[:80]!r} is not valid") from error
    if str(parsed) != text or "%" in text:
        _refuse(f"{what}: {text[:80]!r} is not in its canonical form, {str(parsed)[:80]!r}")
    return parsed


def _text(value: object, what: str) -> str:
    if not isinstance(value, str):
        _refuse(f"{what} is not a text")
    return value


def _whole(value: object, what: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        _refuse(f"{what} is not a whole number")
    return value


def _truth(value: object, what: str) -> bool:
    if not isinstance(value, bool):
        _refuse(f"{what} is neither true nor false")
    return value


def _distinct(what: str, values: Collection[object]) -> None:
    if len(set(values)) != len(values):
        _refuse(f"{what} has an entry twice")


def _refuse(message: str) -> NoReturn:
    raise InvalidValueError(message)
