"""Ask a list of DNS servers one question, over UDP or TCP, and believe only the server that was asked.

Each attempt has a socket of its own: the kernel then picks a random source port (RFC 5452 section 9.2), a connected
UDP socket takes datagrams of that one server only and reports its ICMP errors at once, and the id is random too.
Whatever does not match id and question is passed over while the time runs.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv6Address
from typing import TYPE_CHECKING, Final

import dns.rcode

from kttun.names.rewrite import MAX_MESSAGE, answers, id_of, rcode_of, with_id

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from kttun.names.plan import Nameserver

    Exchange = Callable[[Nameserver, bytes], Awaitable[bytes | None]]

_ROUNDS: Final = 3
_ASK_THE_NEXT: Final = frozenset({dns.rcode.SERVFAIL, dns.rcode.REFUSED, dns.rcode.NOTIMP})
"""Answers after which a stub resolver tries its next server, as glibc does."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait, seconds.

    `attempt_s` for one server before the next one is asked (by TCP: connect and answer), `total_s` for the question.
    The total is below the 5 s after which glibc and systemd-resolved ask again (resolv.conf(5), `timeout`): a client
    gets a SERVFAIL and not a silence.
    """

    attempt_s: float = 1.5
    total_s: float = 4.5


async def ask(servers: Sequence[Nameserver], query: bytes, *, stream: bool, patience: Patience) -> bytes | None:
    """Return the first good answer of `servers`, with the query's own id; by TCP if `stream`.

    An answer SERVFAIL, REFUSED or NOTIMP counts only when no other server does better. None when nobody answered in
    time.
    """
    poor: bytes | None = None
    exchange = _by_tcp if stream else _by_udp
    with suppress(TimeoutError):
        async with asyncio.timeout(patience.total_s):
            for _ in range(_ROUNDS):
                for server in servers:
                    answer = await _attempt(exchange, server, query, patience.attempt_s)
                    if answer is not None and rcode_of(answer) not in _ASK_THE_NEXT:
                        return answer
                    poor = answer or poor
                if poor is not None:
                    break
    return poor


async def _attempt(exchange: Exchange, server: Nameserver, query: bytes, seconds: float) -> bytes | None:
    try:
        async with asyncio.timeout(seconds):
            answer = await exchange(server, with_id(query, secrets.randbits(16)))
    except (OSError, asyncio.IncompleteReadError):  # refused, unreachable, cut off; TimeoutError is an OSError
        return None
    return None if answer is None else with_id(answer, id_of(query))


async def _by_udp(server: Nameserver, query: bytes) -> bytes:
    loop = asyncio.get_running_loop()
    family = socket.AF_INET6 if isinstance(server.address, IPv6Address) else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sock:
        if server.source is not None:
            sock.bind((str(server.source), 0))
        sock.connect((str(server.address), server.port))
        await loop.sock_sendall(sock, query)
        while True:
            answer = await loop.sock_recv(sock, MAX_MESSAGE)
            if answers(answer, query):
                return answer


async def _by_tcp(server: Nameserver, query: bytes) -> bytes | None:
    source = None if server.source is None else (str(server.source), 0)
    reader, writer = await asyncio.open_connection(str(server.address), server.port, local_addr=source)
    try:
        writer.write(len(query).to_bytes(2, "big") + query)
        answer = await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))
    finally:
        writer.close()
    return answer if answers(answer, query) else None
