"""Which addresses a practice cluster has, and where on this machine its things lie."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import TYPE_CHECKING

from kttun.errors import EnvironmentFaultError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

RUN = Path("/run/kttun-sandbox")
"""Everything that a sandbox writes: kubeconfigs, log, socket, pods' files. It goes with the sandbox."""

DOMAIN = "cluster.local"
NODE = "sandbox"
"""The node's name."""
API_PORT = 6443
"""Where the API server listens, the usual port of a self-made cluster (kubeadm)."""
NODE_NET_BITS, POD_BITS, SERVICE_BITS = 2, 5, 4
"""Host bits that each network needs at least: two ends of a line; the examples and some more; up to `dns_service`."""


@dataclass(frozen=True, slots=True)
class Shape:
    """The cluster's three networks. They may lie inside each other, as they do in some real clusters."""

    node_net: IPv4Network
    """The line between machine and node: the machine has its first address, the node its second."""
    pod_cidr: IPv4Network
    service_cidr: IPv4Network

    @property
    def machine(self) -> IPv4Address:
        """This machine's address on the line."""
        return self.node_net[1]

    @property
    def node(self) -> IPv4Address:
        """The node's address, where the API server listens."""
        return self.node_net[2]

    @property
    def pods(self) -> IPv4Network:
        """The range of the node's own pods: the first /24 of the cluster's, as a controller manager gives it."""
        return next(self.pod_cidr.subnets(new_prefix=max(24, self.pod_cidr.prefixlen)))

    @property
    def gateway(self) -> IPv4Address:
        """The node's address as its pods see it: their default gateway, where cluster DNS listens too."""
        return self.pods[1]

    @property
    def api_service(self) -> IPv4Address:
        """The Service `kubernetes`: always the first address of the range."""
        return self.service_cidr[1]

    @property
    def dns_service(self) -> IPv4Address:
        """The Service `kube-dns`: by custom the tenth address."""
        return self.service_cidr[10]


CANDIDATES = tuple(
    Shape(*(IPv4Network(f"{base}.{rest}") for rest in ("0.0/29", "64.0/18", "128.0/18")))
    for base in ("10.213", "172.29", "10.87", "172.23", "192.168")
)
"""Tried in this order. 198.18.0.0/15 (RFC 2544), which hosts avoid too, is where sessions get their TUN's address."""


def choose(
    taken: Iterable[IPv4Network],
    *,
    node_net: IPv4Network | None = None,
    pod_cidr: IPv4Network | None = None,
    service_cidr: IPv4Network | None = None,
) -> Shape:
    """Give the first candidate, with what was named in the place of its own, that no network of this machine overlaps.

    Raises `EnvironmentFaultError`, and `UsageError` for a named network that is too small.
    """
    for named, least in ((node_net, NODE_NET_BITS), (pod_cidr, POD_BITS), (service_cidr, SERVICE_BITS)):
        if named is not None and named.max_prefixlen - named.prefixlen < least:
            raise UsageError(f"{named} is too small", f"it needs a prefix of {32 - least} or shorter")
    networks = list(taken)
    for each in CANDIDATES:
        shape = Shape(node_net or each.node_net, pod_cidr or each.pod_cidr, service_cidr or each.service_cidr)
        ours = (shape.node_net, shape.pod_cidr, shape.service_cidr)
        if not any(mine.overlaps(other) for mine in ours for other in networks):
            return shape
    raise EnvironmentFaultError(
        "this machine's routes overlap with every network that the sandbox could take",
        "name free ones: --node-net CIDR --pod-cidr CIDR --service-cidr CIDR",
    )
