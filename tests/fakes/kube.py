"""An API server in small: a real HTTP server on loopback that answers each call from a script and remembers it."""

import contextlib
import json
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True)
class Call:
    """One request as it arrived; `headers` is a message object, `peer` the name in the client's certificate."""

    method: str
    path: str
    query: dict
    headers: object
    body: object
    peer: str | None


class Refusal(Exception):  # noqa: N818 - an answer, raised or not
    """Answer with a Status object."""

    def __init__(self, status, message, reason=""):
        self.status, self.message, self.reason = status, message, reason


def denied(verb, resource, group="", namespace=None):
    """Refuse as the RBAC authorizer does."""
    where = f' in the namespace "{namespace}"' if namespace else " at the cluster scope"
    text = f'{resource} is forbidden: User "jane" cannot {verb} resource "{resource}" in API group "{group}"{where}'
    return Refusal(403, text, "Forbidden")


class Kube:
    """Answers what `script[METHOD, path]` holds, or 404; `calls` is what was asked.

    It may hold an object, a `Refusal`, raw bytes, an iterable whose items are sent as lines, or a function of the call
    that gives or raises one of these.
    """

    def __init__(self, tls=None):
        self.script = {}
        self.calls = []
        kube = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def answer(self):
                kube._answer(self)

            do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = answer  # noqa: N815 - http.server names them so

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def get_request(self):
                stream, address = super().get_request()
                if tls is not None:  # the handshake comes with the first read, in the connection's own thread
                    stream = tls.wrap_socket(stream, server_side=True, do_handshake_on_connect=False)
                return stream, address

            def handle_error(self, *_):
                pass  # a client that went away, or did not like our certificate

        self._server = Server(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()

    def asked(self, method, path):
        return [call for call in self.calls if (call.method, call.path) == (method, path)]

    def _answer(self, handler):
        url = urlsplit(handler.path)
        raw = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        call = Call(
            handler.command,
            url.path,
            dict(parse_qsl(url.query)),
            handler.headers,
            json.loads(raw) if raw else None,
            _peer(handler.request),
        )
        self.calls.append(call)
        try:
            answer = self.script.get((call.method, call.path), Refusal(404, "nothing here", "NotFound"))
            answer = answer(call) if callable(answer) else answer
            if isinstance(answer, Exception):
                raise answer
        except Refusal as refusal:
            status = {"kind": "Status", "message": refusal.message, "reason": refusal.reason, "code": refusal.status}
            _send(handler, refusal.status, json.dumps(status).encode())
            return
        if isinstance(answer, bytes):
            _send(handler, 200, answer)
        elif isinstance(answer, dict):
            _send(handler, 200, json.dumps(answer).encode())
        else:
            _stream(handler, answer)


def _send(handler, status, body):
    handler.send_response(status)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def _stream(handler, lines):
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    with contextlib.suppress(OSError):
        for line in lines:
            data = (line if isinstance(line, str) else json.dumps(line)).encode() + b"\n"
            handler.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
            handler.wfile.flush()
        handler.wfile.write(b"0\r\n\r\n")


def _peer(stream):
    certificate = stream.getpeercert() if hasattr(stream, "getpeercert") else None
    if not certificate:
        return None
    return dict(pair for part in certificate["subject"] for pair in part)["commonName"]
