"""Where a DNS question goes: every rule of the forwarder, as one pure function over names.

Theory. A pod asks short names and its resolv.conf expands them (`search ns.svc.DOMAIN svc.DOMAIN DOMAIN`, ndots:5; see
the Kubernetes DNS specification, version 1.1.0). The host has the same search list without the ndots (`routing.names`),
so a name with a dot is first asked as it is, and the forwarder expands the spellings that people type. The rules in
order, first match decides:

1. class other than IN, zone transfers: never to the cluster
2. names under the cluster domain: to the cluster as they are, but for two that a search list makes and that must not
   leave the machine: `wpad.*` (whoever can make a Service of that name would own the browser's proxy), and what is left
   of a public name without an address after a search domain was put behind it (`www.example.com.ns.svc.DOMAIN`,
   `example.com.DOMAIN`), as far as it can be told from a real one
3. reverse names: to the cluster when the whole zone lies in the tunnel's networks
4. `localhost`, `wpad`, `.local` (RFC 6762: link-local multicast names): never to the cluster
5. `*.svc`: expanded by the cluster domain
6. `svc.ns` and `host.svc.ns` of the session's own namespace: expanded, unless that namespace is named like a top-level
   domain of the Internet (`dev`, `app`, `prod`, two letters: country codes); then the search list has to do it, after
   the public name was tried
7. single labels: tried in the namespace, then (if there is one) upstream, where `nas` may be a name of the home router
8. everything else: upstream, and without upstream refused
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum, auto
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import TYPE_CHECKING

import dns.exception
import dns.name
import dns.rdataclass
import dns.rdatatype

from kttun.errors import EnvironmentFaultError
from kttun.routing.suffixes import is_used_outside

if TYPE_CHECKING:
    from collections.abc import Collection

    Address = IPv4Address | IPv6Address
    Network = IPv4Network | IPv6Network

DNS_PORT = 53

_SVC = dns.name.from_text("svc", origin=None)
_IN_ADDR = dns.name.from_text("in-addr.arpa.")
_IP6 = dns.name.from_text("ip6.arpa.")

_NEVER_CLUSTER_FIRST = frozenset({b"wpad"})
_NEVER_CLUSTER_LAST = frozenset({b"local", b"localhost", b"wpad"})

_TRANSFERS = frozenset({dns.rdatatype.AXFR, dns.rdatatype.IXFR})

_ZONE_TYPES = frozenset({dns.rdatatype.NS, dns.rdatatype.SOA, dns.rdatatype.DS, dns.rdatatype.DNSKEY})
"""Types that a validating resolver asks of top-level domains, which are single labels too."""

_DEEPEST = 4
"""Labels of `hostname.service.ns.svc`, the longest name without underscore labels that the specification has."""


@dataclass(frozen=True, slots=True)
class Nameserver:
    """One DNS server; a link-local IPv6 address carries its zone (`fe80::1%eth0`).

    `source` is our own address to ask from, None for what the kernel chooses.
    """

    address: Address
    port: int = DNS_PORT
    source: Address | None = None


@dataclass(frozen=True, slots=True)
class ForwarderPlan:
    """What the forwarder shall do.

    `cluster_dns`: servers reached through the tunnel, in order of preference.
    `cluster_domain`, `namespace`: as in the gateway's resolv.conf (`cluster.local`, `default`).
    `networks`: what exactly is routed into the tunnel; their reverse names belong to the cluster.
    `upstream`: the host's own servers where the forwarder stands in resolv.conf and gets every name; empty where
    systemd-resolved sends it cluster names only, and then any other name is REFUSED.

    Raises `EnvironmentFaultError` when `cluster_domain` or `namespace` is no DNS name.
    """

    cluster_dns: tuple[Nameserver, ...]
    cluster_domain: str
    namespace: str
    networks: tuple[Network, ...] = ()
    upstream: tuple[Nameserver, ...] = ()

    def __post_init__(self) -> None:
        for what, text in (("cluster domain", self.cluster_domain), ("namespace", self.namespace)):
            try:
                name = dns.name.from_text(text)
            except (dns.exception.DNSException, UnicodeError) as error:
                raise EnvironmentFaultError(f"{what} {text!r} is not a DNS name: {error}") from error
            if name == dns.name.root:
                raise EnvironmentFaultError(f"{what} is empty", "the gateway's /etc/resolv.conf has no search list")

    def without(self, own: Collection[tuple[Address, int]]) -> ForwarderPlan:
        """Return the plan less servers at our `own` addresses and ports: asking ourselves would go round for ever."""
        return replace(
            self,
            cluster_dns=tuple(server for server in self.cluster_dns if (server.address, server.port) not in own),
            upstream=tuple(server for server in self.upstream if (server.address, server.port) not in own),
        )


@dataclass(frozen=True, slots=True)
class Question:
    """One question as it stands on the wire; equality ignores the case of letters (RFC 4343)."""

    name: dns.name.Name
    rdtype: int
    rdclass: int


class Verdict(Enum):
    """Where a question goes."""

    CLUSTER = auto()
    CLUSTER_THEN_UPSTREAM = auto()
    """To the cluster, and upstream when the cluster says that there is no such name."""
    UPSTREAM = auto()
    NO_SUCH_NAME = auto()
    """Answered NXDOMAIN here."""
    REFUSED = auto()


@dataclass(frozen=True, slots=True)
class Decision:
    """A verdict, and the name to ask the cluster for: `name` differs from the question's when it was expanded."""

    verdict: Verdict
    name: dns.name.Name


class Rules:
    """A plan made ready for many questions."""

    def __init__(self, plan: ForwarderPlan) -> None:
        self._domain = dns.name.from_text(plan.cluster_domain)
        self._services = _SVC.concatenate(self._domain)
        self._namespace = dns.name.from_text(plan.namespace, origin=None).concatenate(self._services)
        self._short = dns.name.from_text(plan.namespace)
        self._short_is_public = is_used_outside(plan.namespace.lower())
        self._networks = plan.networks
        self._has_upstream = bool(plan.upstream)

    def decide(self, question: Question) -> Decision:
        """Apply the rules of this file's head; never raises."""
        name = question.name
        if question.rdclass != dns.rdataclass.IN or question.rdtype in _TRANSFERS:
            return self._elsewhere(name)
        if name.is_subdomain(self._domain):
            return Decision(self._under_domain(name), name)
        if name.is_subdomain(_IN_ADDR) or name.is_subdomain(_IP6):
            return self._reverse(name)
        if self._never_cluster(name):
            return self._elsewhere(name)
        return self._short_name(question)

    def _under_domain(self, name: dns.name.Name) -> Verdict:
        labels = name.relativize(self._domain).labels
        if not labels:
            return Verdict.CLUSTER
        last = labels[-1].lower()
        leftover = len(labels) > _DEEPEST if last == b"svc" else len(labels) > 1 and _is_used_outside(last)
        if labels[0].lower() in _NEVER_CLUSTER_FIRST or (leftover and not any(map(_is_protocol, labels))):
            return Verdict.NO_SUCH_NAME
        return Verdict.CLUSTER

    def _reverse(self, name: dns.name.Name) -> Decision:
        zone = reverse_network(name)
        inside = zone is not None and any(_contains(network, zone) for network in self._networks)
        return Decision(Verdict.CLUSTER, name) if inside else self._elsewhere(name)

    @staticmethod
    def _never_cluster(name: dns.name.Name) -> bool:
        labels = name.labels
        return len(labels) < 2 or labels[0].lower() in _NEVER_CLUSTER_FIRST or labels[-2].lower() in _NEVER_CLUSTER_LAST

    def _short_name(self, question: Question) -> Decision:
        name = question.name
        last, depth = name.labels[-2].lower(), len(name.labels) - 1
        if depth > 1 and last == b"svc":
            return self._expanded(name, self._domain)
        if depth in (2, 3) and name.is_subdomain(self._short) and not self._short_is_public:
            return self._expanded(name, self._services)
        if depth == 1 and question.rdtype not in _ZONE_TYPES:
            verdict = Verdict.CLUSTER_THEN_UPSTREAM if self._has_upstream else Verdict.CLUSTER
            return self._expanded(name, self._namespace, verdict)
        return self._elsewhere(name)

    def _expanded(self, name: dns.name.Name, suffix: dns.name.Name, verdict: Verdict = Verdict.CLUSTER) -> Decision:
        try:
            return Decision(verdict, name.relativize(dns.name.root).concatenate(suffix))
        except dns.name.NameTooLong:
            return Decision(Verdict.NO_SUCH_NAME, name)

    def _elsewhere(self, name: dns.name.Name) -> Decision:
        return Decision(Verdict.UPSTREAM if self._has_upstream else Verdict.REFUSED, name)


def reverse_network(name: dns.name.Name) -> Network | None:
    """Return the network whose reverse zone `name` is (RFC 1035 section 3.5, RFC 3596 section 2.5), None if it is none.

    `96.10.in-addr.arpa` is 10.96.0.0/16. Names of classless delegation (RFC 2317) are no network here.
    """
    if name.is_subdomain(_IN_ADDR):
        return _reverse_v4([label.decode("latin-1") for label in name.relativize(_IN_ADDR).labels[::-1]])
    if name.is_subdomain(_IP6):
        return _reverse_v6([label.decode("latin-1") for label in name.relativize(_IP6).labels[::-1]])
    return None


def _reverse_v4(octets: list[str]) -> IPv4Network | None:
    if not 1 <= len(octets) <= 4 or not all(octet in _OCTETS for octet in octets):
        return None
    return IPv4Network((".".join([*octets, *["0"] * (4 - len(octets))]), 8 * len(octets)))


def _reverse_v6(nibbles: list[str]) -> IPv6Network | None:
    if not 1 <= len(nibbles) <= 32 or not all(len(nibble) == 1 and nibble in _NIBBLES for nibble in nibbles):
        return None
    return IPv6Network((int("".join(nibbles).ljust(32, "0"), 16), 4 * len(nibbles)))


_OCTETS = frozenset(str(octet) for octet in range(256))
_NIBBLES = frozenset("0123456789abcdefABCDEF")


def _is_used_outside(label: bytes) -> bool:
    return is_used_outside(label.decode("latin-1"))


def _is_protocol(label: bytes) -> bool:
    """Tell `_http` or `_tcp` of an SRV name (RFC 2782)."""
    return label.startswith(b"_")


def _contains(network: Network, zone: Network) -> bool:
    if isinstance(network, IPv4Network):
        return isinstance(zone, IPv4Network) and zone.subnet_of(network)
    return isinstance(zone, IPv6Network) and zone.subnet_of(network)
