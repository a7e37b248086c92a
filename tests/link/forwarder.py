"""An API server in small: a real TLS server on loopback that upgrades port-forwards and plays the pod behind them.

Its SPDY is written from the protocol draft by another hand than the client's, its WebSocket is the library's server.
"""

import contextlib
import datetime as dt
import json
import socket
import ssl
import struct
import threading
import zlib
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from websockets.frames import Frame
from websockets.server import ServerProtocol

from kttun.config import ApiEndpoint


def certificate(folder, names=("api.test",), addresses=("127.0.0.1",)):
    """Write a self-signed certificate with its key; give the path."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    now = dt.datetime.now(dt.UTC)
    alternatives = [*map(x509.DNSName, names), *(x509.IPAddress(ip_address(a)) for a in addresses)]
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = folder / "server.pem"
    path.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return path


def status(code, reason, message):
    """An answer with a Status object as its body."""
    body = json.dumps({"kind": "Status", "apiVersion": "v1", "reason": reason, "message": message, "code": code})
    return answer(code, body)


def answer(code, body=""):
    return f"HTTP/1.1 {code} Something\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()


def echo(pod):
    """The pod's program: give back whatever comes."""
    while piece := pod.receive():
        pod.send(piece)


class Server:
    """Accepts on loopback, one thread a connection, each given to `serve(stream)`, whose errors end the connection."""

    def __init__(self, context=None):
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._open = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                stream, _ = self._listener.accept()
                self._open.append(stream)
                threading.Thread(target=self._one, args=(stream,), daemon=True).start()

    def _one(self, stream):
        with contextlib.suppress(OSError, EOFError):
            if self._context:
                stream = self._context.wrap_socket(stream, server_side=True)
                self._open.append(stream)
            self.serve(stream)
        stream.close()

    def serve(self, stream):
        raise NotImplementedError

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for stream in self._open:
            with contextlib.suppress(OSError):
                stream.shutdown(socket.SHUT_RDWR)
            stream.close()


class Forwarder(Server):
    """The API server. `reply` is bytes to answer instead of upgrading; `pod(carrier)` plays the program in the pod."""

    def __init__(self, certificate_path=None, *, reply=None, pod=echo):
        context = None
        if certificate_path:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate_path)
        self.certificate = certificate_path
        self.reply, self.pod = reply, pod
        self.requests = []
        super().__init__(context)

    def endpoint(self, *, proxy=None, server_hostname="api.test", trusted=True, token="secret"):
        client = None
        if self.certificate:
            client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            if trusted:
                client.load_verify_locations(self.certificate)
        return ApiEndpoint(
            host="127.0.0.1",
            port=self.port,
            path_prefix="/k8s",
            tls=client,
            server_hostname=server_hostname,
            proxy=proxy,
            headers=lambda: {"Authorization": f"Bearer {token}", "Impersonate-User": "jane"},
        )

    def serve(self, stream):
        request = read_head(stream)
        self.requests.append(request)
        if self.reply is not None:
            stream.sendall(self.reply)
            stream.recv(1)
        elif "spdy/3.1" in request.lower():
            self.pod(SpdyEnd(stream))
        else:
            self.pod(WebSocketEnd(stream, request))


class Proxy(Server):
    """An HTTP CONNECT proxy."""

    def __init__(self, context=None, *, reply=b"HTTP/1.1 200 Connection established\r\n\r\n"):
        self.reply = reply
        self.requests = []
        super().__init__(context)

    def serve(self, stream):
        request = read_head(stream)
        self.requests.append(request)
        stream.sendall(self.reply)
        host, port = request.split()[1].rsplit(":", 1)
        with socket.create_connection((host, int(port))) as far:
            back = threading.Thread(target=copy, args=(far, stream), daemon=True)
            back.start()
            copy(stream, far)
            back.join()


def copy(source, sink):
    with contextlib.suppress(OSError):
        while piece := source.recv(65536):
            sink.sendall(piece)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_RDWR)


def read_head(stream):
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = stream.recv(1)
        if not byte:
            raise EOFError
        head += byte
    return head.decode()


def exactly(stream, n):
    got = b""
    while len(got) < n:
        piece = stream.recv(n - len(got))
        if not piece:
            raise EOFError
        got += piece
    return got


class SpdyEnd:
    """The runtime's end of a SPDY port-forward."""

    def __init__(self, stream):
        self.stream = stream
        stream.sendall(
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n"
            b"X-Stream-Protocol-Version: portforward.k8s.io\r\n\r\n"
        )
        inflate = zlib.decompressobj()
        self.streams = dict(self._syn(inflate) for _ in range(2))
        self.data = next(i for i, h in self.streams.items() if h["streamtype"] == "data")
        self.error = next(i for i, h in self.streams.items() if h["streamtype"] == "error")
        self.pongs = []

    def _syn(self, inflate):
        kind, _flags, body = self._frame()
        assert kind == 1
        block = inflate.decompress(body[10:])
        (count,), at, texts = struct.unpack_from("!I", block), 4, []
        for _ in range(2 * count):
            (size,) = struct.unpack_from("!I", block, at)
            texts.append(block[at + 4 : at + 4 + size].decode())
            at += 4 + size
        return struct.unpack_from("!I", body)[0], dict(zip(texts[::2], texts[1::2], strict=True))

    def _frame(self):
        first, second = struct.unpack("!II", exactly(self.stream, 8))
        body = exactly(self.stream, second & 0xFFFFFF)
        return (first & 0xFFFF if first >> 31 else -first), second >> 24, body

    def receive(self):
        while True:
            try:
                kind, _flags, body = self._frame()
            except EOFError:
                return b""
            if kind == -self.data:
                return body
            if kind == 6:
                self.pongs.append(body)

    def send(self, data):
        self.stream.sendall(data_frame(self.data, data))

    def ping(self, n):
        self.stream.sendall(struct.pack("!IIi", 0x80030006, 4, n))

    def fail(self, text):
        self.stream.sendall(data_frame(self.error, text.encode()) + data_frame(self.error, b"", 1))

    def finish(self):
        self.stream.sendall(data_frame(self.data, b"", 1))


def data_frame(stream, data, flags=0):
    return struct.pack("!II", stream, flags << 24 | len(data)) + data


class WebSocketEnd:
    """The runtime's end of a v4.channel.k8s.io port-forward."""

    def __init__(self, stream, request, port=b"\x39\x30"):
        self.stream = stream
        self.protocol = ServerProtocol(subprotocols=["v4.channel.k8s.io"])
        self.protocol.receive_data(request.encode())
        (event,) = self.protocol.events_received()
        self.protocol.send_response(self.protocol.accept(event))
        self.pongs = []
        self._messages = []
        for channel in (0, 1):
            self.protocol.send_binary(bytes([channel]) + port)
        self._flush()

    def _flush(self):
        for data in self.protocol.data_to_send():
            if data:
                self.stream.sendall(data)

    def receive(self):
        while not self._messages:
            piece = self.stream.recv(65536)
            if not piece:
                return b""
            self.protocol.receive_data(piece)
            for event in self.protocol.events_received():
                assert isinstance(event, Frame)
                if event.opcode == 10:
                    self.pongs.append(bytes(event.data))
                elif event.opcode == 2:
                    assert event.fin
                    assert event.data[0] == 0
                    self._messages.append(bytes(event.data[1:]))
        return self._messages.pop(0)

    def send(self, data):
        for at in range(0, len(data), 32768):
            self.protocol.send_binary(b"\0" + data[at : at + 32768])
            self._flush()

    def ping(self, n):
        self.protocol.send_ping(struct.pack("!i", n))
        self._flush()

    def fail(self, text):
        self.protocol.send_binary(b"\1" + text.encode())
        self._flush()

    def finish(self):
        self.protocol.send_close(1000)
        self._flush()
