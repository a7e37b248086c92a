"""The DNS server of the laptop's LAN, from a zone file: `lan_dns.py ADDRESS ZONE_FILE`.

Writes a line "TYPE NAME RCODE" for each question, as CoreDNS does for scripts/cluster, where scripts/lab/leaks.sh looks
for questions about the cluster. Needs dnspython.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.zone

PORT = 53
ALIASES = 8
"""A chain of aliases longer than this goes round."""


class Zone:
    """Answers for one zone, which is all there is."""

    def __init__(self, text: str) -> None:
        self._zone = dns.zone.from_text(text, origin=dns.name.root, relativize=False)

    def answer(self, wire: bytes) -> bytes:
        """Answer one message; a name that is not in the zone does not exist (RFC 2308 section 2.1)."""
        query = dns.message.from_wire(wire)
        response = dns.message.make_response(query, recursion_available=True)
        response.flags |= dns.flags.AA
        (question,) = query.question
        self._fill(response, question.name, question.rdtype)
        kind, code = dns.rdatatype.to_text(question.rdtype), dns.rcode.to_text(response.rcode())
        sys.stdout.write(f"[INFO] {kind} {question.name.to_text().lower()} {code}\n")
        sys.stdout.flush()
        return response.to_wire()

    def _fill(self, response: dns.message.Message, name: dns.name.Name, kind: dns.rdatatype.RdataType) -> None:
        for _ in range(ALIASES):
            found = self._zone.get_rrset(name, kind)
            alias = self._zone.get_rrset(name, dns.rdatatype.CNAME)
            response.answer += [each for each in (found or alias,) if each]
            if found or not alias:
                break
            name = alias[0].target
        if self._zone.get_node(name) is None:
            response.set_rcode(dns.rcode.NXDOMAIN)
        if not found:
            response.authority.append(self._zone.get_rrset(dns.name.root, dns.rdatatype.SOA))


class Datagrams(asyncio.DatagramProtocol):
    def __init__(self, zone: Zone) -> None:
        self._zone = zone

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self._transport.sendto(self._zone.answer(data), addr)


async def serve(zone: Zone, address: str) -> None:
    """Answer over UDP and TCP (RFC 1035 section 4.2) for ever."""

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while size := await reader.read(2):
            answer = zone.answer(await reader.readexactly(int.from_bytes(size)))
            writer.write(len(answer).to_bytes(2) + answer)
            await writer.drain()
        writer.close()

    await asyncio.get_running_loop().create_datagram_endpoint(lambda: Datagrams(zone), (address, PORT))
    await (await asyncio.start_server(converse, address, PORT)).serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(Zone(Path(sys.argv[2]).read_text()), sys.argv[1]))
