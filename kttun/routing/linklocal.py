"""Which link-local address may be the cluster's DNS.

NodeLocal DNSCache gives each node one and writes it into its pods' resolv.conf: 169.254.20.10 as Kubernetes documents
it ("Using NodeLocal DNSCache"), 169.254.25.10 with Kubespray, and whoever installs it may choose. The same range holds
what must never enter a tunnel, because a machine's identity is asked there.
"""

from __future__ import annotations

from ipaddress import IPv4Network
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kttun.config import Network

LINK_LOCAL = IPv4Network("169.254.0.0/16")
IDENTITIES = (
    IPv4Network("169.254.169.0/24"),  # metadata of all large clouds, their DNS and time: .254, .253, .252, .123
    IPv4Network("169.254.170.0/24"),  # credentials of ECS tasks (.2) and of EKS pods (.23)
)


def is_cluster_dns(network: Network) -> bool:
    """Say whether this is one IPv4 address of which a tunnel may be made for the cluster's DNS."""
    return (
        isinstance(network, IPv4Network)
        and network.prefixlen == network.max_prefixlen
        and network.subnet_of(LINK_LOCAL)
        and not any(network.subnet_of(identities) for identities in IDENTITIES)
    )
