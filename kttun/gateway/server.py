"""The gateway's run: engine up, listener on loopback, key printed, packets moved, and an end of its own making.

Only 127.0.0.1 is listened on: the container runtime dials there for a port-forward, and no other pod can reach it. Who
holds port-forward rights in the namespace can, but gets no further than the handshake.
"""

from __future__ import annotations

import base64
import os
import signal
import socket
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from kttun import __version__
from kttun.errors import EnvironmentFaultError
from kttun.gateway import kernel, pod
from kttun.host.device import configure_link
from kttun.host.echo import Echo
from kttun.host.lookup import connected_networks, default_gateways
from kttun.host.tun import Offload, ensure_device_node, open_tun, set_offloads
from kttun.link.carrier import PlainCarrier
from kttun.link.events import Closed, LaneLost, LaneRefused, LinkEvent, TunLost
from kttun.link.pump import Link
from kttun.protocol.events import Opened
from kttun.protocol.noise import Role
from kttun.protocol.tunnel import Tunnel
from kttun.rendezvous import KEY_LINE, GatewayReport
from kttun.routing.hostconfig import OffloadWish

if TYPE_CHECKING:
    from collections.abc import Callable

    from kttun.host.tun import Tun
    from kttun.rendezvous import GatewaySettings

LOOPBACK = "127.0.0.1"
FAREWELL = "the gateway is being stopped"


class Server:
    """One gateway for one session. `say` gets the lines of its log, the first of which is the key."""

    def __init__(self, settings: GatewaySettings, say: Callable[[str], None]) -> None:
        self._settings = settings
        self._say = say
        self._reason = ""

    def run(self) -> str:
        """Serve until told to end or alone for too long; give the reason. Raises `EnvironmentFaultError` at start."""
        with ExitStack() as undo:
            tun = self._start_engine()
            undo.callback(tun.close)
            listener = self._listen()
            undo.callback(listener.close)
            os.set_blocking(listener.fileno(), False)
            static = X25519PrivateKey.generate()
            self._link = link = self._make_link(tun, static)
            undo.callback(link.free)
            link.loop.add_reader(listener.fileno(), lambda: self._accept(listener))
            for number, reason in ((signal.SIGTERM, FAREWELL), (signal.SIGALRM, "no client for the linger time")):
                signal.signal(number, lambda *_, reason=reason: link.loop.call_soon(lambda: self._end(reason)))
            self._say(KEY_LINE + base64.b64encode(static.public_key().public_bytes_raw()).decode())
            self._be_silent()
            link.run()
        return self._reason

    def _start_engine(self) -> Tun:
        ensure_device_node()
        tun = open_tun()
        self._report = _report(tun)
        configure_link(tun, self._report.pod_mtu, self._settings.gateway, Echo())
        kernel.load(kernel.ruleset(self._settings.laptop, tun.name))
        return tun

    def _listen(self) -> socket.socket:
        try:
            return socket.create_server((LOOPBACK, self._settings.port), backlog=16)
        except OSError as error:
            what = f"cannot listen on {LOOPBACK}:{self._settings.port}"
            raise EnvironmentFaultError(f"{what}: {os.strerror(error.errno or 0)}") from error

    def _make_link(self, tun: Tun, static: X25519PrivateKey) -> Link:
        self._tun = tun
        tunnel = Tunnel(
            Role.RESPONDER,
            static,
            self._settings.client_key,
            session_id=self._settings.session_id,
            report=self._report.to_json(),
            random_bytes=os.urandom,
            now=time.monotonic(),
        )
        inner = [address.ip.packed for address in self._settings.laptop]
        return Link(tun.fd, tunnel, inner_addresses=inner, at_gateway=True, on_event=self._on_event)

    def _accept(self, listener: socket.socket) -> None:
        try:
            sock, _ = listener.accept()
        except OSError:
            return  # gone again already (accept(2), ECONNABORTED)
        self._link.attach(PlainCarrier(sock))

    def _on_event(self, event: LinkEvent) -> None:
        match event:
            case Opened(report=report, resumed=resumed):
                signal.setitimer(signal.ITIMER_REAL, 0)
                self._agree_on_offloads(report)
                self._say("client is back" if resumed else "client connected")
            case LaneLost(error=error):
                self._be_silent()
                self._say(f"client lost: {error}")
            case LaneRefused(error=error):
                self._say(f"stranger refused: {error}")
            case TunLost(reason=reason):
                self._end(f"TUN lost: {reason}")
            case Closed():
                self._reason = self._reason or "the client closed the session"
                self._link.stop()

    def _agree_on_offloads(self, report: bytes) -> None:
        """Let our kernel hand over only what the laptop's kernel takes (USO is unknown before Linux 6.2)."""
        try:
            theirs = GatewayReport.from_json(report).offloads
        except ValueError as error:
            self._say(f"client's report cannot be read: {error}")
            return
        set_offloads(self._tun.fd, OffloadWish.ALL if theirs & Offload.UDP else OffloadWish.TCP)

    def _be_silent(self) -> None:
        """Begin to count the linger time: from the start, and from each loss of the client."""
        signal.setitimer(signal.ITIMER_REAL, self._settings.linger_s)

    def _end(self, reason: str) -> None:
        self._reason = reason
        self._link.close(reason)


def _report(tun: Tun) -> GatewayReport:
    resolv_conf = pod.read_resolv_conf()
    device = next((gateway.device for gateway in default_gateways()), None)
    return GatewayReport(
        version=__version__,
        offloads=int(tun.offloads),
        engine="kernel",
        engine_reason="NET_ADMIN is admitted",
        pod_mtu=pod.mtu(device),
        forwards_ipv4=pod.forwards(4),
        forwards_ipv6=pod.forwards(6),
        networks=tuple(str(network.cidr) for network in connected_networks() if network.device != tun.name),
        nameservers=resolv_conf.nameservers,
        search=resolv_conf.search,
        host=socket.gethostname(),
    )
