"""Cluster DNS: what a name in the cluster's domain stands for, read from the store at the moment of the question.

Source: "Kubernetes DNS-Based Service Discovery" 1.1.0 (kubernetes/dns docs/specification.md), and pods' names as
CoreDNS has them in its mode `pods insecure`; of it only addresses, neither SRV nor PTR records. Names outside the
cluster's domain are refused: there is no upstream, so nothing leaves the sandbox. It answers by UDP, and by TCP with a
length before each message (RFC 1035 section 4.2).
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from ipaddress import IPv4Address
from typing import TYPE_CHECKING, cast

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from kttun.sandbox.addresses import HEADLESS
from kttun.sandbox.kinds import ENDPOINTS, NAMESPACES, SERVICES
from kttun.sandbox.shape import DOMAIN

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kttun.sandbox.store import Store

PORT = 53
LARGEST_UDP = 1232
"""Bytes of an answer by UDP, however much the asker would take (DNS flag day 2020)."""
TTL_S = 5
"""How long an answer may be kept (CoreDNS' own value for the cluster's domain)."""

LARGEST, SMALLEST = 65535, 512
"""Bytes of a message by TCP, and what everybody takes by UDP (RFC 1035 section 2.3.4)."""

_ZONE = dns.name.from_text(DOMAIN)
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
        name = question.name
        if not name.is_subdomain(_ZONE):
            response.set_rcode(dns.rcode.REFUSED)
            return
        response.flags |= dns.flags.AA
        addresses = self._addresses([label.decode(errors="replace").lower() for label in name.relativize(_ZONE).labels])
        if addresses and question.rdtype == dns.rdatatype.A:
            response.answer.append(dns.rrset.from_text_list(name, TTL_S, dns.rdataclass.IN, dns.rdatatype.A, addresses))
            return
        if addresses is None:
            response.set_rcode(dns.rcode.NXDOMAIN)
        response.authority.append(dns.rrset.from_text(_ZONE, TTL_S, dns.rdataclass.IN, dns.rdatatype.SOA, _SOA))

    def _addresses(self, labels: list[str]) -> list[str] | None:
        """Give a name's addresses, none for a name that only has others below it; None if it is nobody's."""
        found: list[str] | None = None
        match labels:
            case [] | ["svc"] | ["pod"]:
                found = []
            case [namespace, "svc" | "pod"] if self._store.find(NAMESPACES, "", namespace):
                found = []
            case [dashed, namespace, "pod"] if self._store.find(NAMESPACES, "", namespace):
                found = _pod(dashed)
            case [service, namespace, "svc"]:
                found = self._service(service, namespace)
            case [hostname, service, namespace, "svc"]:
                ends = [address for name, address in self._ends(service, namespace) if name == hostname]
                found = ends or None
        return found

    def _service(self, name: str, namespace: str) -> list[str] | None:
        service = self._store.find(SERVICES, namespace, name)
        if service is None:
            return None
        address = service["spec"]["clusterIP"]
        return [address] if address != HEADLESS else [end for _, end in self._ends(name, namespace)] or None

    def _ends(self, service: str, namespace: str) -> Iterator[tuple[str, str]]:
        """Yield each end of a Service: the name that it has below the Service's, and its address."""
        for subset in (self._store.find(ENDPOINTS, namespace, service) or {}).get("subsets") or ():
            for end in subset.get("addresses") or ():
                # Its host name, or its address with dashes (CoreDNS).
                yield end.get("hostname") or end["ip"].replace(".", "-"), end["ip"]


def _pod(dashed: str) -> list[str] | None:
    """Give the address that stands in a pod's name with dashes."""
    try:
        return [str(IPv4Address(dashed.replace("-", ".")))]
    except ValueError:
        return None


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, names: Names) -> None:
        self._names = names

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if (answer := self._names.answer(data, LARGEST_UDP)) is not None:
            self._transport.sendto(answer, addr)


async def serve_names(names: Names, address: str) -> None:
    """Begin to answer on an address, by UDP and TCP. Raises `OSError`."""
    loop = asyncio.get_running_loop()
    await loop.create_datagram_endpoint(lambda: _Datagrams(names), (address, PORT))

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            while (answer := names.answer(await _message(reader))) is not None:
                writer.write(len(answer).to_bytes(2) + answer)
                await writer.drain()
        writer.close()

    await asyncio.start_server(converse, address, PORT)


async def _message(reader: asyncio.StreamReader) -> bytes:
    return await reader.readexactly(int.from_bytes(await reader.readexactly(2)))
