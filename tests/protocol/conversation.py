"""A client's and a gateway's `Tunnel` joined in memory. Time is a number, a stream is a list of bytes."""

from __future__ import annotations

import random

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from kttun.protocol import HEADROOM
from kttun.protocol.noise import Role, public_bytes
from kttun.protocol.settings import Settings
from kttun.protocol.tunnel import Tunnel

CLIENT_KEY = X25519PrivateKey.from_private_bytes(b"c" * 32)
GATEWAY_KEY = X25519PrivateKey.from_private_bytes(b"g" * 32)
STRANGER_KEY = X25519PrivateKey.from_private_bytes(b"s" * 32)
SESSION = bytes(range(16))
SETTINGS = Settings()


def client(random_bytes=None, **changes) -> Tunnel:
    kwargs = {
        "static": CLIENT_KEY,
        "peer_static": public_bytes(GATEWAY_KEY),
        "session_id": SESSION,
        "report": b"client's report",
        "random_bytes": random_bytes or random.Random(1).randbytes,
        "now": 0.0,
    } | changes
    return Tunnel(Role.INITIATOR, **kwargs)


def gateway(random_bytes=None, **changes) -> Tunnel:
    kwargs = {
        "static": GATEWAY_KEY,
        "peer_static": public_bytes(CLIENT_KEY),
        "session_id": SESSION,
        "report": b"gateway's report",
        "random_bytes": random_bytes or random.Random(2).randbytes,
        "now": 0.0,
    } | changes
    return Tunnel(Role.RESPONDER, **kwargs)


def packet(text: str = "ping", size: int = 0) -> bytes:
    """An empty virtio_net_hdr and something to recognise."""
    return bytes(10) + text.encode().ljust(size, b".")


def stream_bytes(data: bytearray) -> bytes:
    return bytes(data[HEADROOM:])


def said(tunnel: Tunnel, now: float) -> bytes:
    """Everything that `tunnel` wants to send now, as the stream carries it."""
    words = b""
    while (data := tunnel.data_to_send(now)) is not None:
        words += stream_bytes(data)
    return words


def hear(tunnel: Tunnel, data: bytes, now: float) -> tuple[list[bytes], list]:
    """Let `tunnel` receive `data`, in as many pieces as its buffer asks for; give copies of packets, and events."""
    packets, events = [], []
    while True:
        room = tunnel.buffer()
        n = min(len(room), len(data))
        room[:n] = data[:n]
        data = data[n:]
        got = tunnel.received(n, now)
        while True:
            packets += map(bytes, got.packets)
            events += got.events
            if not got.more:
                break
            got = tunnel.more(now)
        if not data or tunnel.deadline() == float("inf"):
            return packets, events


class Conversation:
    """Both ends, what each has heard, and the time."""

    def __init__(self, the_client: Tunnel | None = None, the_gateway: Tunnel | None = None) -> None:
        self.now = 0.0
        self.client = the_client or client()
        self.gateway = the_gateway or gateway()
        self.events: dict[Tunnel, list] = {self.client: [], self.gateway: []}
        self.packets: dict[Tunnel, list[bytes]] = {self.client: [], self.gateway: []}

    @property
    def client_heard(self) -> list:
        return self.events[self.client]

    @property
    def gateway_heard(self) -> list:
        return self.events[self.gateway]

    def other(self, tunnel: Tunnel) -> Tunnel:
        return self.gateway if tunnel is self.client else self.client

    def attach(self) -> Conversation:
        self.client.attach(self.now)
        self.gateway.attach(self.now)
        return self

    def connect(self) -> Conversation:
        """Bring both ends to open, every heartbeat answered; then forget how."""
        self.attach().settle()
        for heard in self.events.values():
            heard.clear()
        return self

    def tell(self, tunnel: Tunnel, data: bytes) -> None:
        packets, events = hear(tunnel, data, self.now)
        self.packets[tunnel] += packets
        self.events[tunnel] += events

    def carry(self, sender: Tunnel) -> int:
        """Carry to the other end what `sender` has to say; give how many bytes that were."""
        words = said(sender, self.now)
        if words:
            self.tell(self.other(sender), words)
        return len(words)

    def settle(self) -> None:
        """Carry to and fro until both are silent."""
        for _ in range(20):
            if not self.carry(self.client) + self.carry(self.gateway):
                return
        raise AssertionError("the two ends never fall silent")

    def send(self, sender: Tunnel, *packets: bytes) -> None:
        self.tell(self.other(sender), stream_bytes(sender.seal(packets, self.now)))

    def wait(self, seconds: float) -> None:
        """Let time pass, and let each end notice it."""
        self.now += seconds
        for tunnel, heard in self.events.items():
            heard.extend(tunnel.handle_timer(self.now))


def forged(tunnel: Tunnel, *frames: bytes) -> bytes:
    """A record with these frames that `tunnel`'s peer finds authentic."""
    return stream_bytes(tunnel._stream.lane._sealer.seal(frames))
