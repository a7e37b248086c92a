"""HTTP that answers with the pod's name, and a WebSocket that answers with what it was told."""

from __future__ import annotations

import socket
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from websockets.sync.server import ServerConnection, serve

PORT = 8080


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer any path with the name of the pod."""
        body = f"{socket.gethostname()}\n".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def serve_http() -> None:
    """Serve HTTP without end."""
    with ThreadingHTTPServer(("", PORT), _Handler) as server:
        server.serve_forever()


def serve_websocket() -> None:
    """Serve WebSockets without end."""
    with serve(_echo, "", PORT) as server:
        server.serve_forever()


def _echo(connection: ServerConnection) -> None:
    for message in connection:
        connection.send(message)
