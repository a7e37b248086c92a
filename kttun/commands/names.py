"""Names of a session: what the host's resolver shall ask us, and the forwarder that answers."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from ipaddress import ip_address, ip_network
from itertools import islice, pairwise
from typing import TYPE_CHECKING, Any

from kttun.config import DnsMode
from kttun.names.forwarder import Forwarder
from kttun.names.plan import ForwarderPlan, Nameserver
from kttun.routing.names import plan_names

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from ipaddress import IPv4Address, IPv6Address

    from kttun.host.client import DnsSocket
    from kttun.rendezvous import GatewayReport
    from kttun.routing.names import ResolverPlan
    from kttun.routing.plan import RoutePlan

    Address = IPv4Address | IPv6Address

USUAL_DOMAIN = "cluster.local"
MOST_SERVERS = 3
"""The C library's limit (resolv.conf(5), MAXNS): what stands behind is asked by no pod either."""


class Names:
    """`plan` is what the helper shall make of the host's resolver; None when names are off."""

    def __init__(self, mode: DnsMode, namespace: str, report: GatewayReport, routes: RoutePlan) -> None:
        servers = _addresses(report.nameservers)
        self._servers = tuple(each for each in servers if not each.is_link_local or routes.takes(ip_network(each)))
        self.out_of_reach = tuple(each for each in servers if each not in self._servers)
        """Servers of the pods that mean another machine here, or none: those of a cloud's metadata address."""
        self._domain = cluster_domain(report.search)
        self._namespace = namespace
        self._routes = routes
        self._wanted = mode
        self._forwarder: Forwarder | None = None
        self._mode = DnsMode.OFF
        self.plan: ResolverPlan | None = None

    def start(self, sockets: Sequence[DnsSocket], own: Sequence[Address], upstream: Iterable[Address]) -> None:
        """Answer on the sockets, at the first of `own`, the TUN's addresses; `upstream` are the host's servers.

        The cluster is asked from our own address, so that the questions stay in this session's tunnel when another
        session routes the same networks. A server that the plan keeps out of the tunnel is asked as anybody would.
        """
        if self._wanted is DnsMode.OFF or not self._servers:
            return
        sources = {address.version: address for address in own}
        self._forwarding = ForwarderPlan(
            cluster_dns=tuple(
                Nameserver(each, source=sources.get(each.version) if self._routes.takes(ip_network(each)) else None)
                for each in self._servers
            ),
            cluster_domain=self._domain,
            namespace=self._namespace,
            networks=self._routes.routes,
            upstream=tuple(Nameserver(address) for address in upstream),
        )
        self.plan = plan_names(self._namespace, self._domain, (own[0],), self._wanted)
        self._forwarder = Forwarder(
            self._forwarding,
            udp=[each.socket for each in sockets if not each.tcp],
            tcp=[each.socket for each in sockets if each.tcp],
        )
        self._forwarder.start()

    def in_force(self, mode: str | None) -> None:
        """Take note of the method that the helper really used.

        systemd-resolved sends us cluster names only, and asking the host's servers would ask it again.
        """
        self._mode = DnsMode(mode or DnsMode.OFF)
        if self._forwarder is not None and self._mode is DnsMode.RESOLVED:
            self._forwarder.adopt(replace(self._forwarding, upstream=()))

    def stop(self) -> None:
        """Answer no more; done already or never started is fine."""
        if self._forwarder is not None:
            self._forwarder.stop()

    @property
    def text(self) -> str:
        """One line for people."""
        if self.plan is None:
            return "off"
        return f"{self._mode} sends {self._domain} and its short names to us"

    def status(self) -> dict[str, Any]:
        """Give the object `dns` of `kttun status --json`."""
        plan = self.plan
        domains = [] if plan is None else list(dict.fromkeys((*plan.search, *plan.routing_domains)))
        return {"mode": str(self._mode), "domains": domains}


def cluster_domain(search: Iterable[str]) -> str:
    """Find the cluster's domain in the search list that the kubelet makes: `NS.svc.DOMAIN svc.DOMAIN DOMAIN ...`."""
    entries = [entry.rstrip(".") for entry in search]
    found = [entry for entry in entries if entry.startswith("svc.")]
    # A namespace may be called svc itself; so better the entry that stands behind NS and itself than the first one.
    behind = (entry for before, entry in pairwise(entries) if entry in found and before.endswith(f".{entry}"))
    return next(behind, found[0] if found else f"svc.{USUAL_DOMAIN}").removeprefix("svc.")


def dns_servers(report: GatewayReport) -> tuple[Address, ...]:
    """Give the servers that the cluster's pods ask; none when the gateway's search list knows no Services.

    A kubelet without `clusterDNS` gives its pods the node's servers, which are nothing of the cluster.
    """
    known = any(entry.startswith("svc.") for entry in report.search)
    return _addresses(report.nameservers) if known else ()


def _addresses(texts: Iterable[str]) -> tuple[Address, ...]:
    """Read addresses; what is none, or needs a link of the pod's (`fe80::1%eth0`), cannot be asked from here."""
    found: list[Address] = []
    for text in islice(texts, MOST_SERVERS):
        with suppress(ValueError):
            found.append(ip_address(text))
    return tuple(address for address in found if "%" not in str(address))
