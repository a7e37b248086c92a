"""What answers in the pods of the sandbox: the ports and the manners of `ends serve` (scripts/lab/ends), in Python.

port  protocol  does
8080  HTTP      GET / the host's name; GET /bytes/N; POST /sha256 {bytes, sha256} of the body; ANY /request {method,
                path, host, headers, protocol, peer, server} as it arrived
7007  TCP, UDP  echo (datagrams up to 65507 bytes)
7008  TCP       sink: reads to the end, or to a byte 1 as the last, then says {bytes, seconds}
7009  TCP       source: zeros until the client goes
7010  UDP       sink: counts datagrams by their first eight bytes, the run; counts are at the control port
7011  HTTP      control: GET /udp?run=N {packets, bytes}; GET /half, /urgent: what the last such connection brought
7012  TCP       reset: accepts, and resets as soon as anything arrives
7013  TCP       deaf: accepts and never reads, so its window closes
7014  TCP       half: says "bye", closes its direction, reads on to the end; /half {bytes, sha256}
7015  TCP       urgent: reads to the end and keeps urgent data apart; /urgent {plain, urgent}
7016  TCP       abrupt: resets before the client has said anything

Needs nothing but Python. Listens as Go does, for multipath TCP where the kernel has it, so that a path can be asked
whether it lets that pass.
"""

from __future__ import annotations

import hashlib
import json
import select
import socket
import struct
import time
from collections import defaultdict
from contextlib import closing, suppress
from fcntl import ioctl
from http.server import BaseHTTPRequestHandler
from threading import Thread
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Manner = Callable[[socket.socket], object]

HTTP, ECHO, SINK, SOURCE, COUNTED, CONTROL = 8080, 7007, 7008, 7009, 7010, 7011
RESET, DEAF, HALF, URGENT, ABRUPT = 7012, 7013, 7014, 7015, 7016
BUFFER = 256 << 10
DEAF_BUFFER = 16 << 10
DATAGRAMS = 8 << 20
FINISH = 1
"""Ends an upload of zeros where the client cannot close its direction alone: a forwarded port cannot."""
SIOCATMARK = 0x8905  # linux/sockios.h: is the next byte the urgent one?

seen: dict[str, Any] = {"half": None, "urgent": None}
runs: defaultdict[int, dict[str, int]] = defaultdict(lambda: {"packets": 0, "bytes": 0})


def echo(connection: socket.socket) -> None:
    while data := connection.recv(BUFFER):
        connection.sendall(data)


def sink(connection: socket.socket) -> None:
    started, size, data = time.monotonic(), 0, b"more"
    while data and data[-1] != FINISH:
        data = connection.recv(BUFFER)
        size += len(data)
    connection.sendall(json.dumps({"bytes": size, "seconds": time.monotonic() - started}).encode() + b"\n")


def source(connection: socket.socket) -> None:
    zeros = bytes(BUFFER)
    while True:
        connection.sendall(zeros)


def reset(connection: socket.socket) -> None:
    """Wait for the first byte, so that the client has surely seen the connection open."""
    connection.recv(1)
    abrupt(connection)


def abrupt(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def deaf(connection: socket.socket) -> None:
    """Stay until the other side has gone, which can be known without reading."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, DEAF_BUFFER)
    poll = select.poll()
    poll.register(connection, select.POLLRDHUP)
    poll.poll()


def half(connection: socket.socket) -> None:
    connection.sendall(b"bye\n")
    connection.shutdown(socket.SHUT_WR)
    seen["half"] = digest(iter(lambda: connection.recv(BUFFER), b""))


def digest(pieces: Iterator[bytes]) -> dict[str, Any]:
    size, summed = 0, hashlib.sha256()
    for piece in pieces:
        size += len(piece)
        summed.update(piece)
    return {"bytes": size, "sha256": summed.hexdigest()}


def urgent(connection: socket.socket) -> None:
    """Take urgent data in line, and ask before each piece whether it is the one.

    Out of line, a byte that nobody has fetched yet is lost as soon as the data behind it is read.
    """
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE, 1)
    got, data = {"plain": "", "urgent": ""}, b"more"
    while data:
        select.select([connection], [], [])
        at_mark = any(ioctl(connection, SIOCATMARK, bytes(4)))
        data = connection.recv(1 if at_mark else BUFFER)
        got["urgent" if at_mark else "plain"] += data.decode()
        seen["urgent"] = dict(got)


def serve(listener: socket.socket, manner: Manner) -> None:
    """Give each connection a thread with this manner."""
    while True:
        connection, _ = listener.accept()
        Thread(target=attend, args=(connection, manner), daemon=True).start()


def attend(connection: socket.socket, manner: Manner) -> None:
    with closing(connection), suppress(OSError):
        manner(connection)


def listener(port: int, kind: int = socket.SOCK_STREAM) -> socket.socket:
    """Open a port on all IPv4 addresses."""
    if kind == socket.SOCK_DGRAM:
        opened = socket.socket(socket.AF_INET, kind)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, DATAGRAMS)
        opened.bind(("", port))
        return opened
    try:
        opened = socket.socket(socket.AF_INET, kind, socket.IPPROTO_MPTCP)
    except OSError:
        opened = socket.socket(socket.AF_INET, kind)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    opened.bind(("", port))
    opened.listen(4096)
    return opened


def echo_datagrams(datagrams: socket.socket) -> None:
    while True:
        with suppress(OSError):  # an ICMP error of an earlier answer
            datagrams.sendto(*datagrams.recvfrom(1 << 16))


def count_datagrams(datagrams: socket.socket) -> None:
    while True:
        data = datagrams.recv(1 << 16)
        if len(data) >= 8:
            run = runs[int.from_bytes(data[:8], "big")]
            run["packets"] += 1
            run["bytes"] += len(data)


class Handler(BaseHTTPRequestHandler):
    """Answers all requests of one connection by `routes`: the first piece of the path to what gives the content."""

    protocol_version = "HTTP/1.1"
    routes: ClassVar[dict[str, Callable[[Handler], Any]]]

    def __init__(self, connection: socket.socket) -> None:
        self.left = 0
        super().__init__(connection, connection.getpeername(), None)  # type: ignore[arg-type]  # a server is not used

    def answer(self) -> None:
        """Answer one request; content is JSON unless it is bytes."""
        self.left = int(self.headers.get("Content-Length", 0))
        route = self.routes.get(urlsplit(self.path).path.split("/")[1])
        content = route(self) if route else "no such path"
        for _ in self.body():
            pass
        self.send_response(200 if route else 404)
        if not isinstance(content, bytes):
            content = json.dumps(content).encode() + b"\n"
            self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def body(self) -> Iterator[bytes]:
        """Read what is left of the request's body."""
        while self.left and (piece := self.rfile.read1(min(self.left, BUFFER))):
            self.left -= len(piece)
            yield piece

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
    setattr(Handler, f"do_{method}", Handler.answer)


def described(request: Handler) -> dict[str, Any]:
    return {
        "method": request.command,
        "path": urlsplit(request.path).path,
        "host": request.headers.get("Host", ""),
        "headers": {key.title(): request.headers.get_all(key) for key in request.headers if key.lower() != "host"},
        "protocol": request.request_version,
        "peer": request.client_address[0],
        "server": socket.gethostname(),
    }


def counted(request: Handler) -> dict[str, int]:
    return runs[int(parse_qs(urlsplit(request.path).query)["run"][0])]


class Web(Handler):
    routes: ClassVar = {
        "": lambda _: socket.gethostname().encode() + b"\n",
        "bytes": lambda request: bytes(int(request.path.rpartition("/")[2])),
        "sha256": lambda request: digest(request.body()),
        "request": described,
    }


class Control(Handler):
    routes: ClassVar = {"udp": counted, "half": lambda _: seen["half"], "urgent": lambda _: seen["urgent"]}


MANNERS: dict[int, Manner] = {
    HTTP: Web, CONTROL: Control, ECHO: echo, SINK: sink, SOURCE: source, RESET: reset, DEAF: deaf, HALF: half,
    URGENT: urgent, ABRUPT: abrupt,
}  # fmt: skip
DATAGRAM_MANNERS: dict[int, Manner] = {ECHO: echo_datagrams, COUNTED: count_datagrams}


def main() -> None:
    """Open every port, and serve for ever."""
    threads = [Thread(target=serve, args=(listener(port), manner)) for port, manner in MANNERS.items()]
    threads += [
        Thread(target=manner, args=(listener(port, socket.SOCK_DGRAM),)) for port, manner in DATAGRAM_MANNERS.items()
    ]
    for thread in threads:
        thread.start()


if __name__ == "__main__":
    main()
