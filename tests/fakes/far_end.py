"""Ends of a tunnel in small: real links on TUNs that are socket pairs, each in a thread of its own."""

import os
import queue
import socket
import threading
import time

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from kttun.link.carrier import PlainCarrier
from kttun.link.pump import Closed, Link
from kttun.protocol.noise import Role
from kttun.protocol.tunnel import Tunnel
from kttun.rendezvous import GatewayReport

LAPTOP = socket.inet_aton("198.18.0.1")
SESSION_ID = bytes(16)
REPORT = GatewayReport("0.1.0", 0, engine="kernel", pod_mtu=1450, forwards_ipv4=True, networks=("10.244.0.0/24",))


def make_tun():
    """Both sides of a TUN: what the link has, and what the kernel would have."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


class End:
    """One end; `events` gets what its link tells, `kernel` is the far side of its TUN, `tun` the near one.

    `tun` may be given, any object with a descriptor, which stays the giver's; `inner` are addresses it may send from.
    """

    role = Role.RESPONDER

    def __init__(self, static, peer, report, session_id=SESSION_ID, tun=None, inner=(LAPTOP,)):
        self.events = queue.SimpleQueue()
        self._sockets = []
        self.tun, self.kernel = (tun, None) if tun is not None else make_tun()
        if tun is None:
            self._sockets += [self.tun, self.kernel]
            self.kernel.settimeout(60)
        tunnel = Tunnel(
            self.role,
            static,
            peer,
            session_id=session_id,
            report=report,
            random_bytes=os.urandom,
            now=time.monotonic(),
        )
        at_gateway = self.role is Role.RESPONDER
        self.link = Link(
            self.tun.fileno(), tunnel, inner_addresses=inner, at_gateway=at_gateway, on_event=self._on_event
        )
        self._thread = threading.Thread(target=self.link.run, daemon=True)
        self._thread.start()

    def _on_event(self, event):
        self.events.put(event)
        if isinstance(event, Closed):
            self.link.stop()

    def heard(self, kind):
        """Wait for the next event of a kind."""
        while not isinstance(event := self.events.get(timeout=60), kind):
            pass
        return event

    def told(self):
        """Give all events that nobody has asked for yet."""
        return [self.events.get() for _ in range(self.events.qsize())]

    def soon(self, act):
        """Do something in the link's thread, and wait until it is done."""
        done = threading.Event()
        self.link.loop.call_soon(lambda: (act(), done.set()))
        assert done.wait(60)

    def attach(self, sock):
        """Let a connected socket carry the session."""
        self.soon(lambda: self.link.attach(PlainCarrier(sock)))

    def carrier(self):
        """Make a connection to this end; give the other end's carrier."""
        near, far = socket.socketpair()
        self._sockets += [near, far]
        self.link.loop.call_soon(lambda: self.link.attach(PlainCarrier(far)))
        return PlainCarrier(near)

    def cut(self):
        """Break the connection there is."""
        self.soon(lambda: self.link._lane.carrier._sock.shutdown(socket.SHUT_RDWR))

    def close(self, reason):
        """End the session from this side."""
        self.link.loop.call_soon(lambda: self.link.close(reason))

    def free(self):
        self.link.stop()
        self._thread.join(60)
        self.link.free()
        for each in self._sockets:
            each.close()


class FarEnd(End):
    """The gateway's end, with a key of its own."""

    def __init__(self, client, report, session_id=SESSION_ID):
        static = X25519PrivateKey.generate()
        self.public_key = static.public_key().public_bytes_raw()
        super().__init__(static, client, report, session_id)


class NearEnd(End):
    """The laptop's end."""

    role = Role.INITIATOR
