"""Echo by TCP and by UDP (RFC 862, on a port of its own)."""

from __future__ import annotations

import socket
import socketserver

PORT = 7007
_LARGEST = 65536
"""Bytes that are taken at once; no UDP packet is larger."""


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


class _Handler(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        """Send back what comes, until the client has said everything."""
        while data := self.request.recv(_LARGEST):
            self.request.sendall(data)


def serve_tcp() -> None:
    """Echo TCP without end."""
    with _Server(("", PORT), _Handler) as server:
        server.serve_forever()


def serve_udp() -> None:
    """Echo UDP without end."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("", PORT))
        while True:
            data, sender = server.recvfrom(_LARGEST)
            server.sendto(data, sender)
