#!/usr/bin/env python3
"""What a program sees of the network between it and a pod: one statement a function, one plain value a statement.

    conformance.py --target POD_IP --service SERVICE_IP --dns DNS_IP --json FILE [--only WORD...]

Run it once where packets are simply routed and once through kttun, and compare the two files: whatever differs is what
kttun does to a program. No value holds a time or an address of its own; a time stands as "at once" or "late". The other
end is `ends serve` of scripts/lab, whose ports the constants below name. Needs nothing but Python, and root for raw
sockets.
"""

from __future__ import annotations

import argparse
import errno
import hashlib
import http.client
import json
import os
import select
import socket
import struct
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

HTTP, ECHO, SINK, SOURCE, CONTROL = 8080, 7007, 7008, 7009, 7011
RESET, DEAF, HALF, URGENT, ABRUPT = 7012, 7013, 7014, 7015, 7016
CLOSED = 9

AT_ONCE_S = 1.0
WAIT_S = 10.0
FILTERED_S = 3.0

# linux/in.h, linux/tcp.h and linux/errqueue.h, as far as Python's socket module does not name them.
IP_MTU_DISCOVER, IP_PMTUDISC_DO, IP_RECVERR, IP_MTU = 10, 2, 11, 14
SO_NO_CHECK = 11  # asm-generic/socket.h
SOL_MPTCP, MPTCP_INFO = 284, 1  # linux/mptcp.h
SO_EE_ORIGIN_ICMP, ICMP_TIME_EXCEEDED = 2, 11
TCPI_OPTIONS = ((1, "timestamps"), (2, "sack"), (4, "window scale"))
UNASSIGNED_PROTOCOL = 253  # RFC 3692: for experiments
EXPEDITED = 0xB8  # differentiated services code point EF (RFC 3246)


@dataclass(frozen=True)
class Place:
    """Where the other end is, in this cluster."""

    pod: str
    service: str
    dns: str
    domain: str
    unused: str
    filtered: int


BEHAVIOURS: list[Callable[[Place], Any]] = []


def behaviour(function: Callable[[Place], Any]) -> Callable[[Place], Any]:
    """Register a statement; its name with spaces is the key of its value."""
    BEHAVIOURS.append(function)
    return function


WAITING: set[Callable[[Place], Any]] = set()
"""Statements that do little but wait, so that they may be made side by side."""


def waiting(function: Callable[[Place], Any]) -> Callable[[Place], Any]:
    """Register a statement that waits for something that does not come, or comes late."""
    WAITING.add(function)
    return behaviour(function)


def title(function: Callable[[Place], Any]) -> str:
    """Give the statement's name for people."""
    return function.__name__.replace("_", " ")


def outcome(attempt: Callable[[], Any]) -> str:
    """Say how an attempt ended: "done" or the name of its errno, and whether it took long."""
    started = time.monotonic()
    try:
        attempt()
        end = "done"
    except TimeoutError as error:
        end = errno.errorcode[error.errno] if error.errno else "silence"
    except OSError as error:
        end = errno.errorcode.get(error.errno or 0, repr(error))
    return f"{end}, {'at once' if time.monotonic() - started < AT_ONCE_S else 'late'}"


def connected(host: str, port: int, seconds: float = WAIT_S) -> socket.socket:
    """Open a TCP connection."""
    return socket.create_connection((host, port), seconds)


def read_to_end(sock: socket.socket) -> bytes:
    """Read until the other side has closed its direction."""
    return b"".join(iter(lambda: sock.recv(65536), b""))


def control(place: Place, kind: str, wanted: Callable[[Any], bool]) -> Any:
    """Ask the other end what it saw, until it has seen all of it."""
    until = time.monotonic() + WAIT_S
    while True:
        connection = http.client.HTTPConnection(place.pod, CONTROL, timeout=WAIT_S)
        connection.request("GET", f"/{kind}")
        seen = json.loads(connection.getresponse().read())
        connection.close()
        if (seen and wanted(seen)) or time.monotonic() > until:
            return seen
        time.sleep(0.05)


# TCP -----------------------------------------------------------------------------------------------------------------


@behaviour
def tcp_to_an_open_port(place: Place) -> str:
    return outcome(lambda: connected(place.pod, ECHO).close())


@behaviour
def tcp_to_a_service(place: Place) -> str:
    return outcome(lambda: connected(place.service, ECHO).close())


@behaviour
def tcp_to_a_closed_port(place: Place) -> str:
    return outcome(lambda: connected(place.pod, CLOSED).close())


@waiting
def tcp_to_a_port_that_the_service_has_not(place: Place) -> str:
    return outcome(lambda: connected(place.service, CLOSED, FILTERED_S).close())


@waiting
def tcp_to_a_filtered_port(place: Place) -> str:
    return outcome(lambda: connected(place.pod, place.filtered, FILTERED_S).close())


@waiting
def tcp_to_an_address_that_nobody_has(place: Place) -> str:
    return outcome(lambda: connected(place.unused, ECHO).close())


@behaviour
def tcp_half_closed_by_us_still_brings_the_answer(place: Place) -> int:
    with connected(place.pod, SINK) as sock:
        sock.sendall(bytes(100_000))
        sock.shutdown(socket.SHUT_WR)
        return int(json.loads(read_to_end(sock))["bytes"])


@behaviour
def tcp_half_closed_by_the_pod_still_takes_our_data(place: Place) -> Any:
    data = os.urandom(100_000)
    with connected(place.pod, HALF) as sock:
        farewell = read_to_end(sock).decode()
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)
    sent = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    return [farewell, "all of it" if control(place, "half", lambda seen: seen == sent) == sent else "lost"]


@behaviour
def tcp_reset_by_the_pod_while_we_read(place: Place) -> str:
    with connected(place.pod, RESET) as sock:
        sock.send(b"x")
        return outcome(lambda: sock.recv(1))


@behaviour
def tcp_reset_by_the_pod_as_its_first_act(place: Place) -> str:
    def connect_and_read() -> None:
        with connected(place.pod, ABRUPT) as sock:
            sock.recv(1)

    return outcome(connect_and_read)


@behaviour
def tcp_window_that_we_close_opens_again(place: Place) -> str:
    wanted, got = 8 << 20, 0
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        sock.settimeout(WAIT_S)
        sock.connect((place.pod, SOURCE))
        settled(lambda: len(sock.recv(1 << 20, socket.MSG_PEEK)))
        while got < wanted:
            got += len(sock.recv(65536))
    return "flows again"


@waiting
def tcp_window_that_the_pod_closes_stops_us(place: Place) -> str:
    with connected(place.pod, DEAF) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
        sock.setblocking(False)
        sent, limit = 0, 64 << 20
        while sent < limit and select.select([], [sock], [], AT_ONCE_S)[1]:
            sent += sock.send(bytes(65536))
    return "never stopped" if sent >= limit else "stopped"


def settled(measure: Callable[[], int]) -> int:
    """Wait until a number has stopped growing."""
    before, now = -1, measure()
    while now != before:
        time.sleep(0.3)
        before, now = now, measure()
    return now


@behaviour
def tcp_urgent_data_stands_apart(place: Place) -> Any:
    with connected(place.pod, URGENT) as sock:
        sock.sendall(b"abc")
        sock.send(b"!", socket.MSG_OOB)
        sock.sendall(b"def")
        sock.shutdown(socket.SHUT_WR)
        read_to_end(sock)
    return control(place, "urgent", lambda seen: seen["plain"] == "abcdef")


@waiting
def tcp_keepalive_is_answered(place: Place) -> str:
    with connected(place.pod, ECHO) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in ((socket.TCP_KEEPIDLE, 1), (socket.TCP_KEEPINTVL, 1), (socket.TCP_KEEPCNT, 2)):
            sock.setsockopt(socket.IPPROTO_TCP, option, value)
        sock.settimeout(5)  # unanswered, the probes end the connection after three seconds
        silence = outcome(lambda: sock.recv(1))
        sock.sendall(b"x")
        return f"{silence}; then {sock.recv(1).decode()}"


@behaviour
def tcp_options_that_were_agreed(place: Place) -> Any:
    with connected(place.pod, ECHO) as sock:
        mss = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG)
        agreed = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)[5]
        return {"mss": mss, "options": [name for bit, name in TCPI_OPTIONS if agreed & bit]}


@behaviour
def multipath_tcp(place: Place) -> str:
    with socket.socket(proto=socket.IPPROTO_MPTCP) as sock:
        sock.settimeout(WAIT_S)
        sock.connect((place.pod, ECHO))
        sock.sendall(b"x")
        sock.recv(1)
        try:
            sock.getsockopt(SOL_MPTCP, MPTCP_INFO, 1)
        except OSError:
            return "plain TCP"
        return "agreed"


@behaviour
def tcp_two_hundred_connections_at_once(place: Place) -> int:
    def echo(number: int) -> bool:
        with connected(place.pod, ECHO) as sock:
            message = number.to_bytes(4, "big")
            sock.sendall(message)
            return sock.recv(4, socket.MSG_WAITALL) == message

    with ThreadPoolExecutor(200) as pool:
        return sum(pool.map(echo, range(200)))


@behaviour
def thirteen_uploads_of_20_mib_at_once_arrive_unchanged(place: Place) -> int:
    def upload(number: int) -> bool:
        body = hashlib.shake_128(str(number).encode()).digest(1 << 16) * 320
        connection = http.client.HTTPConnection(place.service, HTTP, timeout=120)
        connection.request("POST", "/sha256", body)
        seen = json.loads(connection.getresponse().read())
        connection.close()
        return bool(seen["sha256"] == hashlib.sha256(body).hexdigest())

    with ThreadPoolExecutor(13) as pool:
        return sum(pool.map(upload, range(13)))


@behaviour
def the_pod_sees_as_our_address(place: Place) -> str:
    connection = http.client.HTTPConnection(place.pod, HTTP, timeout=WAIT_S)
    connection.connect()
    own = connection.sock.getsockname()[0]
    connection.request("GET", "/request")
    seen = json.loads(connection.getresponse().read())["peer"]
    connection.close()
    return "our own" if seen == own else "another one"


# UDP -----------------------------------------------------------------------------------------------------------------


def datagram_socket(host: str, port: int) -> socket.socket:
    """Open a connected UDP socket, which hears of ICMP errors."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.settimeout(WAIT_S)
    sock.connect((host, port))
    return sock


def echoed(place: Place, size: int) -> str:
    """Send one datagram to the echo and compare what comes back; loss is retried, UDP may lose."""
    data = os.urandom(size)
    with datagram_socket(place.pod, ECHO) as sock:
        sock.settimeout(2)
        for _ in range(5):
            with suppress(TimeoutError):
                sock.send(data)
                return "equal" if sock.recv(65535) == data else "different"
    return "silence"


@behaviour
def udp_echo_of_small_and_large_datagrams(place: Place) -> dict[str, str]:
    return {str(size): echoed(place, size) for size in (0, 5, 1400, 1472, 1473, 27_000, 65_507)}


@behaviour
def udp_without_a_checksum(place: Place) -> str:
    with datagram_socket(place.pod, ECHO) as sock:
        sock.setsockopt(socket.SOL_SOCKET, SO_NO_CHECK, 1)
        sock.send(b"x")
        return outcome(lambda: sock.recv(1))


@behaviour
def udp_with_options_in_the_ip_header(place: Place) -> str:
    with datagram_socket(place.pod, ECHO) as sock:
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_OPTIONS, b"\x01\x01\x01\x00")  # no operation, end (RFC 791)
        sock.send(b"x")
        return outcome(lambda: sock.recv(1))


@behaviour
def udp_to_a_closed_port(place: Place) -> str:
    with datagram_socket(place.pod, CLOSED) as sock:
        sock.send(b"x")
        return outcome(lambda: sock.recv(1))


@waiting
def udp_to_an_address_that_nobody_has(place: Place) -> str:
    with datagram_socket(place.unused, CLOSED) as sock:
        sock.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)
        sock.send(b"x")
        return outcome(lambda: sock.recv(1))


@behaviour
def udp_that_must_not_be_fragmented(place: Place) -> Any:
    with datagram_socket(place.pod, ECHO) as sock:
        sock.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO)
        mtu = sock.getsockopt(socket.IPPROTO_IP, IP_MTU)
        fits = outcome(lambda: (sock.send(bytes(mtu - 28)), sock.recv(65535)))
        return {"mtu": mtu, "of that size": fits, "one more": outcome(lambda: sock.send(bytes(mtu - 27)))}


@behaviour
def traceroute_shows(place: Place) -> list[str]:
    hops: list[str] = []
    while len(hops) < 8 and hops[-1:] != ["the pod"]:
        hops.append(hop(place.pod, len(hops) + 1))
    return hops


def hop(host: str, ttl: int) -> str:
    """Send one datagram with a time to live, and read who complained from the socket's error queue (ip(7))."""
    with datagram_socket(host, 33433 + ttl) as sock:
        sock.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, ttl)
        for _ in range(3):
            with suppress(OSError):
                sock.send(b"traceroute")
            poll = select.poll()
            poll.register(sock, 0)  # POLLERR is always reported
            if poll.poll(1000):
                return complaint(sock, host)
    return "silence"


def complaint(sock: socket.socket, host: str) -> str:
    """Read one entry of the error queue: struct sock_extended_err, then the offender's struct sockaddr_in."""
    _, ancillary, _, _ = sock.recvmsg(64, 512, socket.MSG_ERRQUEUE)
    for level, kind, data in ancillary:
        if (level, kind) == (socket.IPPROTO_IP, IP_RECVERR):
            _, origin, icmp_type, *_ = struct.unpack_from("=IBBBBII", data)
            if origin == SO_EE_ORIGIN_ICMP:
                offender = socket.inet_ntoa(data[20:24])
                return (
                    "the pod" if offender == host else f"a router{'' if icmp_type == ICMP_TIME_EXCEEDED else ', odd'}"
                )
    return "an error of this machine"


# ICMP and other protocols --------------------------------------------------------------------------------------------


def checksum(data: bytes) -> int:
    """Compute the Internet checksum of an even number of bytes (RFC 1071)."""
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF


def ping(host: str, size: int, *, tos: int = 0) -> Any:
    """Send one echo request with a raw socket and describe the reply field by field."""
    identifier, payload = os.getpid() & 0xFFFF, os.urandom(size)
    request = struct.pack("!BBHHH", 8, 0, 0, identifier, 7) + payload
    request = request[:2] + struct.pack("!H", checksum(request)) + request[4:]
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as sock:
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, tos)
        sock.connect((host, 0))
        for _ in range(3):
            sock.send(request)
            reply = awaited_reply(sock, identifier)
            if reply is not None:
                same = reply[28:] == payload
                return {"payload": "equal" if same else "different", "hops back": 64 - reply[8], "tos": hex(reply[1])}
    return "silence"


def awaited_reply(sock: socket.socket, identifier: int) -> bytes | None:
    """Read until the echo reply with our identifier and sequence number; None when it does not come."""
    until = time.monotonic() + 2
    while (left := until - time.monotonic()) > 0:
        sock.settimeout(left)
        with suppress(TimeoutError):
            packet = sock.recv(65535)
            if packet[20] == 0 and struct.unpack_from("!HH", packet, 24) == (identifier, 7):
                return packet
    return None


@behaviour
def ping_of_the_pod(place: Place) -> Any:
    return ping(place.pod, 56)


@behaviour
def ping_with_a_type_of_service(place: Place) -> Any:
    return ping(place.pod, 56, tos=EXPEDITED)


@behaviour
def ping_of_8_kib(place: Place) -> Any:
    return ping(place.pod, 8192)


@behaviour
def ping_of_60000_bytes(place: Place) -> Any:
    return ping(place.pod, 60_000)


@behaviour
def ping_of_a_service(place: Place) -> Any:
    return ping(place.service, 56)


@waiting
def a_protocol_that_the_pod_does_not_know(place: Place) -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, UNASSIGNED_PROTOCOL) as sock:
        sock.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)
        sock.settimeout(FILTERED_S)
        sock.connect((place.pod, 0))
        sock.send(bytes(64))  # the kernel passes an ICMP error on only if it quotes eight bytes of ours
        return outcome(lambda: sock.recv(1))


# DNS -----------------------------------------------------------------------------------------------------------------


def dns_query(name: str) -> bytes:
    """Build a query for the A records of a name (RFC 1035 section 4.1)."""
    labels = b"".join(bytes((len(label),)) + label.encode() for label in name.split("."))
    return struct.pack("!6H", 0x4B54, 0x0100, 1, 0, 0, 0) + labels + struct.pack("!BHH", 0, 1, 1)


def verdict(answer: bytes) -> str:
    """Say rcode and number of answers."""
    identifier, flags, _, answers, *_ = struct.unpack_from("!6H", answer)
    return f"rcode {flags & 15}, {answers} answers" if identifier == 0x4B54 else "foreign"


@behaviour
def dns_by_udp(place: Place) -> list[str]:
    verdicts = []
    for name in ("kubernetes.default.svc", "nobody.default.svc"):
        with datagram_socket(place.dns, 53) as sock:
            sock.send(dns_query(f"{name}.{place.domain}"))
            verdicts.append(verdict(sock.recv(4096)))
    return verdicts


@behaviour
def dns_by_tcp(place: Place) -> str:
    query = dns_query(f"kubernetes.default.svc.{place.domain}")
    with connected(place.dns, 53) as sock:
        sock.sendall(struct.pack("!H", len(query)) + query)
        size = int.from_bytes(sock.recv(2, socket.MSG_WAITALL), "big")
        return verdict(sock.recv(size, socket.MSG_WAITALL))


def observed(function: Callable[[Place], Any], place: Place) -> Any:
    """Run one behaviour; an error of the network is a value too."""
    try:
        return function(place)
    except OSError as error:
        return f"failed: {errno.errorcode.get(error.errno or 0, repr(error))}"
    except (ValueError, http.client.HTTPException) as error:
        return f"failed: {error!r}"


def all_observed(chosen: list[Callable[[Place], Any]], place: Place) -> list[Any]:
    """Observe each behaviour: those that wait side by side, and then the others one by one."""
    waiters = [each for each in chosen if each in WAITING]
    with ThreadPoolExecutor(len(waiters) or 1) as pool:
        waited = dict(zip(waiters, pool.map(lambda each: observed(each, place), waiters), strict=True))
    return [waited[each] if each in waited else observed(each, place) for each in chosen]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", required=True, metavar="POD_IP", help="a pod that runs `ends serve`")
    parser.add_argument("--service", required=True, metavar="SERVICE_IP", help="the Service before it")
    parser.add_argument("--dns", required=True, metavar="DNS_IP", help="the cluster's DNS")
    parser.add_argument("--domain", default="cluster.local", help="the cluster's domain")
    parser.add_argument("--unused", required=True, metavar="IP", help="an address of the pod network that nobody has")
    parser.add_argument("--filtered", default=9999, type=int, metavar="PORT", help="a port of the pod that drops")
    parser.add_argument("--only", nargs="*", default=[], metavar="WORD", help="statements with one of these words")
    parser.add_argument("--json", type=Path, help="where the values go; else standard output")
    options = parser.parse_args()
    place = Place(options.target, options.service, options.dns, options.domain, options.unused, options.filtered)
    chosen = [each for each in BEHAVIOURS if not options.only or set(options.only) & set(title(each).split())]
    values = {}
    for each, value in zip(chosen, all_observed(chosen, place), strict=True):
        values[title(each)] = value
        sys.stderr.write(f"{title(each)}: {json.dumps(value)}\n")
    text = json.dumps(values, indent=1) + "\n"
    if options.json is None:
        sys.stdout.write(text)
    else:
        options.json.write_text(text)


if __name__ == "__main__":
    main()
