"""Reaching the API server: TCP, then the proxy if there is one, then TLS, all within one deadline.

The answers of a proxy and of the API server are read here too: byte by byte to the end of the head, then parsed by
`http.client`, so that not one byte of what follows a 101 or a CONNECT is swallowed.
"""

from __future__ import annotations

import http.client
import io
import os
import socket
import ssl
import time
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, cast

from kttun.errors import EnvironmentFaultError
from kttun.link.carrier import LaneLostError
from kttun.link.wire import SocketWire, TlsWire, Wire

if TYPE_CHECKING:
    from collections.abc import Mapping
    from email.message import Message

    from kttun.config import ApiEndpoint, HttpProxy

MAX_HEAD = 64 * 1024
MAX_BODY = 64 * 1024


class DialFailure(Enum):
    """Why no lane could be opened."""

    UNREACHABLE = "unreachable"
    TLS = "tls"
    PROXY = "proxy"
    """The proxy does not want us."""
    UNAUTHORIZED = "unauthorized"
    FORBIDDEN = "forbidden"
    POD_GONE = "pod gone"
    RESTARTING = "restarting"
    REFUSED = "refused"
    """This kind of upgrade is not let through; the other kind may be."""


class DialError(EnvironmentFaultError):
    """No lane could be opened: `failure` says why to a program, the text to a person."""

    def __init__(self, failure: DialFailure, message: str, *hints: str) -> None:
        super().__init__(message, *hints)
        self.failure = failure

    @property
    def retryable(self) -> bool:
        """Whether the same may work later without anybody doing anything; a credential plugin may renew a token."""
        return self.failure in {DialFailure.UNREACHABLE, DialFailure.UNAUTHORIZED, DialFailure.RESTARTING}


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer: `head` as it was received; `body` at most 64 KiB, empty for a 101 and an accepted CONNECT."""

    status: int
    reason: str
    headers: Message
    head: bytes
    body: bytes


def reach(endpoint: ApiEndpoint, deadline: float) -> Wire:
    """Open a wire to the API server, blocking until the monotonic time `deadline` at most (look-up of names aside).

    Raises `DialError`.
    """
    server = place(endpoint.host, endpoint.port)
    wire = _connect(endpoint, deadline)
    try:
        return _layers(wire, endpoint)
    except ssl.SSLCertVerificationError as error:
        wire.close()
        raise DialError(
            DialFailure.TLS,
            f"certificate of API server {server} was not accepted: {error.verify_message}",
            "check certificate-authority and tls-server-name of the cluster in the kubeconfig",
        ) from error
    except ssl.SSLError as error:
        wire.close()
        raise DialError(DialFailure.TLS, f"TLS with API server {server} failed: {error.reason}") from error
    except (LaneLostError, OSError) as error:
        wire.close()
        raise DialError(DialFailure.UNREACHABLE, f"API server {server} cannot be reached: {explain(error)}") from error
    except BaseException:
        wire.close()
        raise


def _connect(endpoint: ApiEndpoint, deadline: float) -> SocketWire:
    proxy = endpoint.proxy
    host, port = (proxy.host, proxy.port) if proxy else (endpoint.host, endpoint.port)
    try:
        return SocketWire(_first_that_answers(host, port, deadline), deadline)
    except OSError as error:
        what = f"{'proxy' if proxy else 'API server'} {place(host, port)}"
        raise DialError(DialFailure.UNREACHABLE, f"{what} cannot be reached: {explain(error)}") from error


def _first_that_answers(host: str, port: int, deadline: float) -> socket.socket:
    """Connect to each address in the resolver's order; those that stay silent share the time that is left."""
    addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    problem: OSError = OSError(f"no address for {host}")
    for tried, (family, kind, protocol, _, address) in enumerate(addresses):
        sock = socket.socket(family, kind, protocol)
        try:
            sock.settimeout(max(0.001, (deadline - time.monotonic()) / (len(addresses) - tried)))
            sock.connect(address)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as error:
            sock.close()
            problem = error
        else:
            return sock
    raise problem


def _layers(wire: Wire, endpoint: ApiEndpoint) -> Wire:
    if endpoint.proxy:
        wire = _through(wire, endpoint.proxy, endpoint)
    return TlsWire(wire, endpoint.tls, endpoint.server_hostname) if endpoint.tls else wire


def _through(wire: Wire, proxy: HttpProxy, endpoint: ApiEndpoint) -> Wire:
    """Have the proxy open a tunnel by CONNECT (RFC 9110 section 9.3.6)."""
    name = f"proxy {place(proxy.host, proxy.port)}"
    target = place(endpoint.host, endpoint.port)
    try:
        if proxy.tls:
            wire = TlsWire(wire, ssl.create_default_context(), proxy.host)
        headers = {"Host": target}
        if proxy.authorization:
            headers["Proxy-Authorization"] = proxy.authorization
        answer = ask(wire, "CONNECT", target, headers)
    except (LaneLostError, OSError) as error:  # ssl.SSLError is an OSError
        raise DialError(DialFailure.PROXY, f"{name} gave no tunnel to {target}: {explain(error)}") from error
    if not 200 <= answer.status < 300:
        raise DialError(
            DialFailure.UNREACHABLE if answer.status >= 500 else DialFailure.PROXY,  # 502 to 504: nobody behind it
            f"{name} refused a tunnel to {target}: {answer.status} {answer.reason}".rstrip(),
            "check proxy-url of the cluster in the kubeconfig, or HTTPS_PROXY and NO_PROXY",
        )
    return wire


def ask(wire: Wire, method: str, target: str, headers: Mapping[str, str]) -> Answer:
    """Send an HTTP/1.1 request without a body over a wire that still blocks, and read the answer.

    Raises `LaneLostError` when the far end speaks no HTTP, `TimeoutError` at the wire's deadline.
    """
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    send_all(wire, "\r\n".join(lines).encode("latin-1"))
    head = _read_head(wire)
    stream = io.BufferedReader(_HeadThenWire(head, wire))
    response = http.client.HTTPResponse(cast("socket.socket", _File(stream)), method=method)
    try:
        response.begin()
        upgraded = response.status == http.HTTPStatus.SWITCHING_PROTOCOLS or method == "CONNECT"
        body = b"" if upgraded else response.read(MAX_BODY)
    except http.client.IncompleteRead as short:
        body = short.partial
    except (http.client.HTTPException, ValueError) as error:
        raise LaneLostError("the answer is no HTTP") from error
    return Answer(response.status, response.reason, response.headers, head, body)


def send_all(wire: Wire, data: bytes) -> None:
    """Send over a wire that still blocks; raises `LaneLostError`, `TimeoutError`."""
    rest = memoryview(data)
    while rest:
        rest = rest[wire.send(rest) :]


def _read_head(wire: Wire) -> bytes:
    head, byte = bytearray(), bytearray(1)
    while not head.endswith(b"\r\n\r\n"):
        if len(head) == MAX_HEAD:
            raise LaneLostError("the answer is no HTTP: its head is too long")
        wire.receive_into(memoryview(byte))
        head += byte
    return bytes(head)


class _HeadThenWire(io.RawIOBase):
    """The head that was read already, then at most `MAX_BODY` bytes more of the wire; a lost wire ends it."""

    def __init__(self, head: bytes, wire: Wire) -> None:
        self._head, self._wire, self._left = memoryview(head), wire, MAX_BODY

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]  # typeshed: any Buffer
        view = memoryview(buffer)
        if self._head:
            n = min(len(view), len(self._head))
            view[:n], self._head = self._head[:n], self._head[n:]
            return n
        if not self._left:
            return 0
        try:
            n = self._wire.receive_into(view[: self._left])
        except LaneLostError:
            return 0
        self._left -= n
        return n


class _File:
    """What `http.client` takes for a socket."""

    def __init__(self, stream: io.BufferedReader[_HeadThenWire]) -> None:
        self._stream = stream

    def makefile(self, _mode: str) -> io.BufferedReader[_HeadThenWire]:
        return self._stream


def place(host: str, port: int) -> str:
    """Write host and port as in a URL (RFC 3986 section 3.2.2)."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def explain(error: Exception) -> str:
    """Say in a few words, without numbers, what an error of the network means."""
    if isinstance(error, LaneLostError):
        return error.message
    if isinstance(error, socket.gaierror):
        return "its name cannot be resolved"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate was not accepted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed: {error.reason}"
    return os.strerror(error.errno) if isinstance(error, OSError) and error.errno else str(error)
