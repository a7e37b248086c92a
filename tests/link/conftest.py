"""Two links joined by a socket pair, on TUNs that are socket pairs, in time that is a number."""

import os
import socket

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from kttun.link.carrier import PlainCarrier
from kttun.link.pump import Link
from kttun.link.queues import FlowQueues
from kttun.protocol.noise import Role
from kttun.protocol.tunnel import Tunnel

LAPTOP, POD = socket.inet_aton("100.64.0.2"), socket.inet_aton("10.0.0.9")


def packet(payload, *, source=LAPTOP, destination=POD, port=1, protocol=6, vnet=bytes(10)):
    """As a TUN gives it; the checksums are nobody's business on the way."""
    length = (24 + len(payload)).to_bytes(2, "big")
    header = b"\x45\0" + length + bytes(5) + bytes([protocol]) + bytes(2) + source + destination
    return vnet + header + port.to_bytes(2, "big") + b"\0\x50" + payload


class End:
    """A link, the far side of its TUN, and what it told its owner."""

    def __init__(self, role, keys, clock, queues=None, inner=LAPTOP):
        tun, self.kernel = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for end in (tun, self.kernel):
            end.setblocking(False)
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 22)
        self.tun = tun
        self.events = []
        peer = Role.RESPONDER if role is Role.INITIATOR else Role.INITIATOR
        public = keys[peer].public_key().public_bytes_raw()
        identity = {"session_id": bytes(16), "report": role.encode(), "random_bytes": os.urandom, "now": clock()}
        self.link = Link(
            tun.fileno(),
            Tunnel(role, keys[role], public, **identity),
            inner_addresses=[inner],
            at_gateway=role is Role.RESPONDER,
            on_event=self.events.append,
            queues=queues,
            clock=clock,
        )

    @property
    def drops(self):
        return {reason.value: count for reason, count in self.link.counters.snapshot().drops.items() if count}

    def heard(self, kind):
        return [event for event in self.events if isinstance(event, kind)]

    def turn(self):
        self.link.loop.turn(0)
        self.link.turn_ends()

    def emit(self, *packets):
        for each in packets:
            self.kernel.send(each)

    def got(self):
        packets = []
        while True:
            try:
                packets.append(self.kernel.recv(1 << 17))
            except BlockingIOError:
                return packets

    def free(self):
        self.link.free()
        self.tun.close()
        self.kernel.close()


class Pair:
    """The laptop's end and the gateway's; time passes by turns only."""

    def __init__(self):
        self.now = 1000.0
        self.keys = {role: X25519PrivateKey.generate() for role in Role}
        self.ends = []
        self.laptop = self.make(Role.INITIATOR)
        self.gateway = self.make(Role.RESPONDER)

    def make(self, role, keys=None, **options):
        end = End(role, keys or self.keys, lambda: self.now, **options)
        self.ends.append(end)
        return end

    def join(self, kind=PlainCarrier, laptop=None):
        """Connect both ends and let them shake hands; gives the sockets."""
        near, far = socket.socketpair()
        (laptop or self.laptop).link.attach(kind(near))
        self.gateway.link.attach(kind(far))
        self.settle()
        return near, far

    def settle(self, turns=40, *ends):
        for _ in range(turns):
            self.now += 0.001
            for end in ends or self.ends:
                end.turn()

    def free(self):
        for end in self.ends:
            end.free()


@pytest.fixture
def pair():
    made = Pair()
    yield made
    made.free()


@pytest.fixture
def open_pair(pair):
    pair.join()
    return pair


@pytest.fixture
def small_queues():
    return FlowQueues(bound=100_000)


@pytest.fixture
def make_packet():
    return packet
