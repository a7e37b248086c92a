"""Decide which names the host asks in the cluster: search list and routing domains of a namespace.

A pod resolves short names by the search list `NS.svc.DOMAIN svc.DOMAIN DOMAIN` (Kubernetes, "DNS for Services and
Pods"). The host gets the same list, without the pod's `ndots:5`, which would send each public name to the cluster
first. A resolver that routes by suffix (systemd-resolved) qualifies single labels only, so `db.other.svc` and `db.NS`
need routing domains of their own, `svc` and `NS`; the forwarder expands what arrives by them.

A namespace is often called like a top-level domain: with `dev` as a routing domain every public `*.dev` name would go
to the cluster. Such a namespace gets no routing domain (`suffixes`); `db.dev` still resolves by the search list.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from kttun.config import DnsMode
from kttun.routing.invalid import InvalidValueError
from kttun.routing.suffixes import is_used_outside

Address = IPv4Address | IPv6Address

LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
"""RFC 1123 section 2.1 in the lower case that Kubernetes asks of namespaces and Services."""
MAX_NAME = 253
"""Characters of a domain name in text (RFC 1035 section 2.3.4: 255 octets on the wire)."""


@dataclass(frozen=True, slots=True)
class ResolverPlan:
    """What the host's resolver shall do.

    `nameservers` are addresses of the TUN where the forwarder listens on port 53. `search` is tried in order for short
    names and routes its own names as well; `routing_domains` only route. `mode` is never OFF: no plan is None.
    """

    nameservers: tuple[Address, ...]
    search: tuple[str, ...]
    routing_domains: tuple[str, ...] = ()
    mode: DnsMode = DnsMode.AUTO

    def __post_init__(self) -> None:
        """Refuse names outside RFC 1123 and an empty plan, by InvalidValueError."""
        if not self.nameservers:
            raise InvalidValueError("a resolver plan needs a nameserver")
        if self.mode is DnsMode.OFF:
            raise InvalidValueError("a resolver plan with mode off is no plan")
        for domain in (*self.search, *self.routing_domains):
            check_domain(domain)


def plan_names(
    namespace: str, cluster_domain: str, nameservers: tuple[Address, ...], mode: DnsMode = DnsMode.AUTO
) -> ResolverPlan:
    """Return the plan of a namespace; `cluster_domain` as in the gateway's resolv.conf, a final dot is taken off.

    Raises InvalidValueError for names outside RFC 1123, no nameserver, or mode OFF.
    """
    check_label(namespace)
    domain = cluster_domain.removesuffix(".").lower()
    routing = ("svc",) if is_used_outside(namespace) else ("svc", namespace)
    return ResolverPlan(
        nameservers=nameservers,
        search=(f"{namespace}.svc.{domain}", f"svc.{domain}", domain),
        routing_domains=tuple(dict.fromkeys(routing)),
        mode=mode,
    )


def check_label(label: str) -> None:
    """Raise InvalidValueError unless this is one RFC 1123 label in lower case."""
    if not LABEL.fullmatch(label):
        raise InvalidValueError(f"{label[:80]!r} is not a name as RFC 1123 asks (a-z, 0-9, '-', at most 63 characters)")


def check_domain(domain: str) -> None:
    """Raise InvalidValueError unless this is a dotted name of RFC 1123 labels, at most 253 characters."""
    if len(domain) > MAX_NAME:
        raise InvalidValueError(f"{domain[:80]!r}... is longer than the {MAX_NAME} characters of a domain name")
    for label in domain.split("."):
        check_label(label)
