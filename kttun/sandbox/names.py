"""Cluster DNS: what a name in the cluster's domain stands for, read from the store at the moment of the question.

Source: "Kubernetes DNS-Based Service Discovery" 1.1.0 (kubernetes/dns docs/specification.md), and pods' names as
CoreDNS has them in its mode `pods insecure`. Names outside the cluster's domain are refused: there is no upstream, so
nothing leaves the sandbox.
"""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import TYPE_CHECKING, Any

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.reversename
import dns.rrset

from kttun.sandbox.controllers.endpoints import SERVICE_NAME
from kttun.sandbox.kinds import ENDPOINT_SLICES, NAMESPACES, SERVICES
from kttun.sandbox.shape import DOMAIN

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kttun.sandbox.store import Object, Store

    _Records = dict[dns.rdatatype.RdataType, list[str]]

TTL_S = 5
"""How long an answer may be kept (CoreDNS' own value for the cluster's domain)."""

LARGEST, SMALLEST = 65535, 512
"""Bytes of a message by TCP, and what everybody takes by UDP (RFC 1035 section 2.3.4)."""

_ZONE = dns.name.from_text(DOMAIN)
_REVERSE = dns.name.from_text("in-addr.arpa")
_SOA = f"ns.dns.{DOMAIN}. hostmaster.{DOMAIN}. 1 7200 1800 86400 {TTL_S}"


class Names:
    """Answers questions about a cluster's names."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def answer(self, wire: bytes, limit: int = LARGEST) -> bytes | None:
        """Answer one message in DNS wire format, in `limit` bytes at most (else truncated); None for nonsense."""
        try:
            query = dns.message.from_wire(wire)
            response = dns.message.make_response(query, recursion_available=True)
        except dns.exception.DNSException:
            return None
        if len(query.question) == 1:
            self._fill(response, query.question[0])
        else:
            response.set_rcode(dns.rcode.FORMERR)
        try:
            return response.to_wire(max_size=limit if limit == LARGEST else min(limit, max(query.payload, SMALLEST)))
        except dns.exception.TooBig:
            response.answer.clear()
            response.authority.clear()
            response.flags |= dns.flags.TC
            return response.to_wire()

    def _fill(self, response: dns.message.Message, question: dns.rrset.RRset) -> None:
        name, kind = question.name, question.rdtype
        if name.is_subdomain(_REVERSE):
            found = {dns.rdatatype.PTR: self._reverse(dns.reversename.to_address(name))}
            exists = bool(found[dns.rdatatype.PTR])
        elif name.is_subdomain(_ZONE):
            labels = [label.decode(errors="replace").lower() for label in name.relativize(_ZONE).labels]
            records = self._records(labels)
            exists, found = records is not None, records or {}
        else:
            response.set_rcode(dns.rcode.REFUSED)
            return
        response.flags |= dns.flags.AA
        if dns.rdatatype.CNAME in found:
            kind = dns.rdatatype.CNAME
        if texts := found.get(kind):
            response.answer.append(dns.rrset.from_text_list(name, TTL_S, dns.rdataclass.IN, kind, texts))
            return
        if not exists:
            response.set_rcode(dns.rcode.NXDOMAIN)
        response.authority.append(dns.rrset.from_text(_ZONE, TTL_S, dns.rdataclass.IN, dns.rdatatype.SOA, _SOA))

    def _records(self, labels: list[str]) -> _Records | None:
        """Give a name's records by type, empty for a name that only has others below it; None if it is nobody's."""
        found: _Records | None = None
        match labels:
            case [] | ["svc"] | ["pod"]:
                found = {}
            case ["dns-version"]:
                found = {dns.rdatatype.TXT: ['"1.1.0"']}
            case [namespace, "svc" | "pod"] if self._store.find(NAMESPACES, "", namespace):
                found = {}
            case [dashed, namespace, "pod"] if self._store.find(NAMESPACES, "", namespace):
                found = _pod(dashed)
            case [service, namespace, "svc"]:
                found = self._service(service, namespace)
            case [port, protocol, service, namespace, "svc"]:
                found = self._port(port, protocol, service, namespace)
            case [hostname, service, namespace, "svc"]:
                ends = [address for name, address, _ in self._ends(service, namespace) if name == hostname]
                found = {dns.rdatatype.A: _unique(ends)} if ends else None
        return found

    def _service(self, name: str, namespace: str) -> _Records | None:
        service = self._store.find(SERVICES, namespace, name)
        if service is None:
            return None
        spec = service["spec"]
        if spec.get("type") == "ExternalName":
            return {dns.rdatatype.CNAME: [f"{spec['externalName'].rstrip('.')}."]}
        if spec.get("clusterIP") != "None":
            return {dns.rdatatype.A: [spec["clusterIP"]]}
        ends = [address for _, address, _ in self._ends(name, namespace)]
        return {dns.rdatatype.A: _unique(ends)} if ends else None

    def _port(self, port: str, protocol: str, name: str, namespace: str) -> _Records | None:
        """Give the SRV records of a named port: the Service's, or one for each pod of a headless one."""
        service = self._store.find(SERVICES, namespace, name)
        if service is None:
            return None
        wanted = port.removeprefix("_"), protocol.removeprefix("_").upper()
        target = f"{name}.{namespace}.svc.{DOMAIN}."
        if service["spec"].get("clusterIP") == "None":
            found = [
                (each["port"], f"{hostname}.{target}")
                for hostname, _, ports in self._ends(name, namespace)
                for each in ports
                if (each.get("name"), each.get("protocol", "TCP")) == wanted
            ]
        else:
            found = [
                (each["port"], target)
                for each in service["spec"].get("ports") or ()
                if (each.get("name"), each.get("protocol", "TCP")) == wanted
            ]
        share = 100 // len(found) if found else 0
        return {dns.rdatatype.SRV: _unique([f"0 {share} {number} {host}" for number, host in found])} if found else None

    def _ends(self, service: str, namespace: str) -> Iterator[tuple[str, str, list[dict[str, Any]]]]:
        """Yield each ready end of a Service: the name that it has below the Service's, its address, its ports."""
        for part in self._store.list(ENDPOINT_SLICES, namespace, labels=f"{SERVICE_NAME}={service}"):
            for end in part.get("endpoints") or ():
                if (end.get("conditions") or {}).get("ready", True):
                    for address in end["addresses"]:
                        yield _hostname(end, address), address, part.get("ports") or []

    def _reverse(self, address: str) -> list[str]:
        """Give the names of an address: its Service's, or those of a headless Service's pod."""
        found = []
        for service in self._store.list(SERVICES):
            meta = service["metadata"]
            name = f"{meta['name']}.{meta['namespace']}.svc.{DOMAIN}."
            if service["spec"].get("clusterIP") == address:
                found.append(name)
            elif service["spec"].get("clusterIP") == "None":
                ends = self._ends(meta["name"], meta["namespace"])
                found += [f"{hostname}.{name}" for hostname, end, _ in ends if end == address]
        return _unique(found)


def _pod(dashed: str) -> _Records | None:
    """Give the address that stands in a pod's name with dashes."""
    try:
        return {dns.rdatatype.A: [str(IPv4Address(dashed.replace("-", ".")))]}
    except ValueError:
        return None


def _hostname(end: Object, address: str) -> str:
    """Give the label of an end below a headless Service: its host name, or its address with dashes (CoreDNS)."""
    return str(end.get("hostname") or address.replace(".", "-"))


def _unique(texts: list[str]) -> list[str]:
    return list(dict.fromkeys(texts))
