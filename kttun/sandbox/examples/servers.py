"""The examples that need little: HTTP and WebSocket, echo by TCP and by UDP (RFC 862, on a port of its own)."""

from __future__ import annotations

import socket
import socketserver
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from websockets.sync.server import ServerConnection, serve

HTTP_PORT, ECHO_PORT = 8080, 7007
_LARGEST = 65536
"""Bytes that are taken at once; no UDP packet is larger."""


class _Name(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer any path with the name of the pod."""
        body = f"{socket.gethostname()}\n".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class _Echo(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        """Send back what comes, until the client has said everything."""
        while data := self.request.recv(_LARGEST):
            self.request.sendall(data)


def serve_http() -> None:
    """Serve HTTP without end."""
    with ThreadingHTTPServer(("", HTTP_PORT), _Name) as server:
        server.serve_forever()


def serve_websocket() -> None:
    """Answer each message of a WebSocket with itself, without end."""
    with serve(_answer, "", HTTP_PORT) as server:
        server.serve_forever()


def _answer(connection: ServerConnection) -> None:
    for message in connection:
        connection.send(message)


def serve_tcp() -> None:
    """Echo TCP without end."""
    with socketserver.ThreadingTCPServer(("", ECHO_PORT), _Echo) as server:
        server.daemon_threads = True
        server.serve_forever()


def serve_udp() -> None:
    """Echo UDP without end."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("", ECHO_PORT))
        while True:
            data, sender = server.recvfrom(_LARGEST)
            server.sendto(data, sender)
