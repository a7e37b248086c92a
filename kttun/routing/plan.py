"""Decide which networks enter the tunnel: CIDRs minus exclusions, exactly.

Theory. Each address is decided by the heaviest voice that speaks of it:

    --exclude  >  protected  >  --include  >  connected networks  >  --service-cidr, --pod-cidr, discovery, DNS
       out           out           in               out                              in

A default route (0.0.0.0/0 or ::/0) given to `--include` names no network: it asks for "all that has no better
route", so connected networks stay out of it, as they do with any default route.

The cluster's DNS servers are routed one by one where nothing else does (a user who may not read the Service range),
and out of the link-local range, which is protected, the one that a DNS cache on the nodes has (`linklocal`).

The plan becomes one routing table. The kernel takes the longest prefix, so a tunnel route holds but for the exclusions
strictly inside it, which become `throw` routes (ip-route(8): the look-up goes on as if the table did not exist). For
the table to say the same as the set arithmetic no tunnel route may lie inside an exclusion: such routes are dropped,
and a connected network is cut around what the user included of it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import ip_network
from typing import TYPE_CHECKING

from kttun.config import RouteChoice
from kttun.routing.cidrset import CidrSet, merge, sort_key, subtract
from kttun.routing.linklocal import is_cluster_dns

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kttun.config import Network


@dataclass(frozen=True, slots=True)
class PlannedRoute:
    """A network that enters the tunnel, and who said so (`--include`, `ServiceCIDR kubernetes`...)."""

    cidr: Network
    source: str


@dataclass(frozen=True, slots=True)
class ExcludedRoute:
    """A network that stays out of the tunnel, and why (`--exclude`, `API server`...)."""

    cidr: Network
    reason: str


@dataclass(frozen=True, slots=True)
class Conflict:
    """A network of this machine that overlaps with one asked for; `owner` is a guess from the device's name."""

    cidr: Network
    device: str
    owner: str


@dataclass(frozen=True, slots=True)
class ConnectedNetwork:
    """A network that one of this machine's own devices is part of."""

    cidr: Network
    device: str


@dataclass(frozen=True, slots=True)
class ExistingRoute:
    """A route that somebody else has set, with a guess at the owner (`Docker`, `WireGuard`...)."""

    cidr: Network
    device: str
    owner: str


@dataclass(frozen=True, slots=True)
class RouteRequest:
    """All voices. `choice.mode` decides what is discovered, so it has no say here."""

    choice: RouteChoice = field(default_factory=RouteChoice)
    discovered: tuple[PlannedRoute, ...] = ()
    protected: tuple[ExcludedRoute, ...] = ()
    connected: tuple[ConnectedNetwork, ...] = ()
    existing: tuple[ExistingRoute, ...] = ()
    cluster_dns: tuple[Network, ...] = ()
    """The DNS servers of the cluster's pods, one address each."""


@dataclass(frozen=True, slots=True)
class RoutePlan:
    """What enters the tunnel: the union of `tunnel` minus the union of `excluded`, nothing else. All sorted."""

    tunnel: tuple[PlannedRoute, ...] = ()
    excluded: tuple[ExcludedRoute, ...] = ()
    conflicts: tuple[Conflict, ...] = ()

    @property
    def routes(self) -> tuple[Network, ...]:
        """The networks to route into the TUN, for `HostConfig.routes`: those inside another one need no route."""
        return tuple(sorted(_outermost(route.cidr for route in self.tunnel), key=sort_key))

    @property
    def throws(self) -> tuple[Network, ...]:
        """The exclusions that lie inside a tunnel network, for `HostConfig.throws`; the others need no route."""
        tunnel = CidrSet(self.routes)
        return tuple(route.cidr for route in self.excluded if tunnel.outermost_around(route.cidr))

    def takes(self, network: Network) -> bool:
        """Say whether every address of `network` enters the tunnel by one of the routes."""
        kept_out = CidrSet(route.cidr for route in self.excluded)
        return CidrSet(self.routes).outermost_around(network) is not None and not kept_out.touches(network)

    def to_json(self) -> dict[str, object]:
        """Return the document that `kttun routes --json` prints (keys are fixed in the command-line contract)."""
        return {
            "schema": 1,
            "tunnel": [{"cidr": str(route.cidr), "source": route.source} for route in self.tunnel],
            "excluded": [{"cidr": str(route.cidr), "reason": route.reason} for route in self.excluded],
            "conflicts": [{"cidr": str(c.cidr), "device": c.device, "owner": c.owner} for c in self.conflicts],
        }


USER_EXCLUDED = "--exclude"
USER_INCLUDED = "--include"
CLUSTER_DNS = "DNS server of the cluster"

ALWAYS_PROTECTED: tuple[ExcludedRoute, ...] = tuple(
    ExcludedRoute(ip_network(cidr), reason)
    for cidr, reason in (
        ("127.0.0.0/8", "loopback (RFC 6890)"),
        ("169.254.0.0/16", "link-local and cloud metadata (RFC 3927)"),
        ("224.0.0.0/4", "multicast (RFC 5771)"),
        ("255.255.255.255/32", "limited broadcast (RFC 919)"),
        ("::1/128", "loopback (RFC 4291)"),
        ("fd00:ec2::254/128", "cloud metadata (EC2 over IPv6)"),
        ("fe80::/10", "link-local (RFC 4291)"),
        ("ff00::/8", "multicast (RFC 4291)"),
    )
)
"""What no tunnel may take, whoever asks: losing these breaks the machine, or gives its identity away."""


def plan_routes(request: RouteRequest) -> RoutePlan:
    """Return what enters the tunnel, what stays out and why, and which networks of this machine are touched.

    Pure; never fails. Tunnel networks of one source are outermost only, equal ones keep the heaviest source, and ones
    that are excluded as a whole are dropped. `excluded` has each `--exclude`, and of the rest what changed something;
    nested ones are listed once, by the outermost.
    """
    asked = _asked_for(request)
    out = _kept_out(request)
    out_set = CidrSet(merge(out))
    asked_set = CidrSet(asked)
    tunnel = [PlannedRoute(cidr, source) for cidr, source in asked.items() if not out_set.outermost_around(cidr)]
    excluded = [
        ExcludedRoute(cidr, reason)
        for cidr, reason in out.items()
        if reason == USER_EXCLUDED or asked_set.touches(cidr)
    ]
    return RoutePlan(
        tunnel=tuple(sorted(tunnel, key=lambda route: sort_key(route.cidr))),
        excluded=tuple(sorted(excluded, key=lambda route: sort_key(route.cidr))),
        conflicts=tuple(_conflicts(request, asked_set)),
    )


def _asked_for(request: RouteRequest) -> dict[Network, str]:
    """Return each network asked for with its source, without those inside another of the same source."""
    choice = request.choice
    voices = [
        *((cidr, USER_INCLUDED) for cidr in choice.include),
        *((cidr, "--service-cidr") for cidr in choice.service_cidrs),
        *((cidr, "--pod-cidr") for cidr in choice.pod_cidrs),
        *((route.cidr, route.source) for route in request.discovered),
    ]
    heaviest = _heaviest(voices)
    by_source: dict[str, list[Network]] = {}
    for cidr, source in heaviest.items():
        by_source.setdefault(source, []).append(cidr)
    asked = {cidr: source for source, cidrs in by_source.items() for cidr in _outermost(cidrs)}
    covered = CidrSet(asked)
    return asked | {server: CLUSTER_DNS for server in request.cluster_dns if not covered.outermost_around(server)}


def _kept_out(request: RouteRequest) -> dict[Network, str]:
    """Return each network that stays out with its reason, outermost only, the heaviest reason for equal ones."""
    included = [cidr for cidr in request.choice.include if cidr.prefixlen]
    voices = [(cidr, USER_EXCLUDED) for cidr in request.choice.exclude]
    voices.extend((route.cidr, route.reason) for route in request.protected)
    caches = [server for server in request.cluster_dns if is_cluster_dns(server)]
    voices.extend((piece, route.reason) for route in ALWAYS_PROTECTED for piece in subtract(route.cidr, caches))
    for network in request.connected:
        reason = f"connected network of {network.device}"
        voices.extend((piece, reason) for piece in subtract(network.cidr, included))
    heaviest = _heaviest(voices)
    return {cidr: heaviest[cidr] for cidr in _outermost(heaviest)}


def _conflicts(request: RouteRequest, asked: CidrSet) -> list[Conflict]:
    """Return the networks of this machine that overlap with what was asked for and not taken back.

    Default routes are nobody's network, and one that was asked for leaves connected networks alone.
    """
    hard = (*request.choice.exclude, *(route.cidr for route in (*request.protected, *ALWAYS_PROTECTED)))
    taken_back = CidrSet(merge(hard))
    asked_by_name = CidrSet(cidr for cidr in asked if cidr.prefixlen)
    found = {
        (network.cidr, network.device): Conflict(network.cidr, network.device, "connected network")
        for network in request.connected
        if _overlap_remains(network.cidr, asked_by_name, taken_back)
    }
    connected = {(network.cidr, network.device) for network in request.connected}
    for route in request.existing:
        key = route.cidr, route.device
        if key in found or (key not in connected and _overlap_remains(route.cidr, asked, taken_back)):
            found[key] = Conflict(route.cidr, route.device, route.owner)
    return sorted(found.values(), key=lambda conflict: (sort_key(conflict.cidr), conflict.device))


def _overlap_remains(cidr: Network, asked: CidrSet, taken_back: CidrSet) -> bool:
    if not cidr.prefixlen:
        return False
    overlaps = [cidr] if asked.outermost_around(cidr) else asked.inside(cidr)
    return any(not taken_back.outermost_around(overlap) for overlap in overlaps)


def _heaviest(voices: Iterable[tuple[Network, str]]) -> dict[Network, str]:
    """Keep the first text for each network: voices are handed over in the order of their weight."""
    first: dict[Network, str] = {}
    for cidr, text in voices:
        first.setdefault(cidr, text)
    return first


def _outermost(cidrs: Iterable[Network]) -> list[Network]:
    every = CidrSet(cidrs)
    return [cidr for cidr in every if every.outermost_around(cidr) == cidr]
