"""The gateway's run with a TUN that is a socket pair and signals that are calls; clients are real links."""

import base64
import os
import queue
import socket
import threading
from ipaddress import ip_interface, ip_network

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from fakes.far_end import LAPTOP, SESSION_ID, NearEnd, make_tun

from kttun import __version__
from kttun.errors import EnvironmentFaultError
from kttun.gateway import server as server_module
from kttun.gateway.pod import ResolvConf
from kttun.gateway.server import FAREWELL, Server
from kttun.host.lookup import DefaultGateway
from kttun.host.tun import Offload, Tun
from kttun.link.pump import LaneLost
from kttun.protocol.errors import AuthenticationError
from kttun.protocol.events import Opened, PeerClosed
from kttun.rendezvous import KEY_LINE, GatewayReport, GatewaySettings
from kttun.routing.hostconfig import OffloadWish
from kttun.routing.plan import ConnectedNetwork

LINGER_S = 60.0
TCP_ONLY = GatewayReport("1", int(Offload.TCP)).to_json()
TCP_AND_UDP = GatewayReport("1", int(Offload.TCP | Offload.UDP)).to_json()


class Pod:
    """The server in a thread, and everything around it; `did` are the acts at its start, `wishes` the offloads."""

    def __init__(self):
        self.said, self.timers = queue.SimpleQueue(), queue.SimpleQueue()
        self.did, self.wishes, self.handlers = [], [], {}
        self.client_key = X25519PrivateKey.generate()
        near, self.kernel = make_tun()
        self.tun_fd = near.detach()
        self.kernel.settimeout(60)
        self.clients = []
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self.settings = GatewaySettings(
            client_key=self.client_key.public_key().public_bytes_raw(),
            session_id=SESSION_ID,
            port=port,
            laptop=(ip_interface("198.18.0.1/30"),),
            gateway=(ip_interface("198.18.0.2/30"),),
            linger_s=LINGER_S,
        )
        self.server = Server(self.settings, self.say)
        self.outcome = queue.SimpleQueue()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _run(self):
        try:
            self.outcome.put(self.server.run())
        except EnvironmentFaultError as error:
            self.outcome.put(error)

    def say(self, line):
        self.did.append("say")
        self.said.put(line)

    def open_tun(self):
        self.did.append("open")
        return Tun(self.tun_fd, "kttun0", 7, Offload.TCP)

    def start(self):
        self.thread.start()
        line = self.said.get(timeout=60)
        assert line.startswith(KEY_LINE)
        self.public_key = base64.b64decode(line.removeprefix(KEY_LINE), validate=True)
        assert self.timers.get(timeout=60) == LINGER_S

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.settings.port))

    def client(self, report=TCP_ONLY, key=None):
        """A client that has connected; it may hold another key."""
        made = NearEnd(key or self.client_key, self.public_key, report)
        self.clients.append(made)
        made.attach(self.connect())
        return made

    def ended(self):
        outcome = self.outcome.get(timeout=60)
        self.thread.join(60)
        return outcome

    def free(self):
        if self.thread.is_alive():
            self.server._link.stop()
            self.thread.join(60)
        for client in self.clients:
            client.free()
        self.kernel.close()


@pytest.fixture
def bare_pod(monkeypatch):
    """A pod that is not started yet."""
    made = Pod()
    put = lambda name, value: monkeypatch.setattr(server_module, name, value)  # noqa: E731 - one word for many
    put("ensure_device_node", lambda: made.did.append("node"))
    put("open_tun", made.open_tun)
    put("configure_link", lambda _tun, mtu, addresses, _echo: made.did.append((mtu, addresses)))
    put("set_offloads", lambda _fd, wish: made.wishes.append(wish))
    put("default_gateways", lambda: (DefaultGateway("eth0", None),))
    networks = (ConnectedNetwork(ip_network("10.244.3.0/24"), "eth0"),)
    put("connected_networks", lambda: (*networks, ConnectedNetwork(ip_network("198.18.0.0/30"), "kttun0")))
    monkeypatch.setattr(server_module.kernel, "load", made.did.append)
    monkeypatch.setattr(server_module.pod, "mtu", {"eth0": 1450}.__getitem__)
    monkeypatch.setattr(server_module.pod, "forwards", lambda version: version == 4)
    monkeypatch.setattr(server_module.pod, "read_resolv_conf", lambda: ResolvConf(("10.96.0.10",), ("svc.x", "x")))
    monkeypatch.setattr(server_module.signal, "signal", made.handlers.__setitem__)
    monkeypatch.setattr(server_module.signal, "setitimer", lambda _which, seconds: made.timers.put(seconds))
    yield made
    made.free()


@pytest.fixture
def pod(bare_pod):
    """A pod whose gateway runs."""
    bare_pod.start()
    return bare_pod


@pytest.fixture
def client(pod):
    """Its client, connected."""
    made = pod.client()
    made.heard(Opened)
    assert pod.said.get(timeout=60) == "client connected"
    assert pod.timers.get(timeout=60) == 0
    return made


def packet(source=LAPTOP, payload=b"hello"):
    header = b"\x45\0" + (20 + len(payload)).to_bytes(2, "big") + bytes(5) + b"\x11" + bytes(2)
    return bytes(10) + header + source + socket.inet_aton("10.244.3.9") + payload


def test_everything_is_ready_before_the_key_is_told(bare_pod, monkeypatch):
    reached = []
    real = bare_pod.say

    def say(line):
        if not reached:
            bare_pod.connect().close()
            reached.append(dict(bare_pod.handlers))
        real(line)

    bare_pod.server._say = say
    bare_pod.start()
    node, opened, link, rules, said = bare_pod.did[:5]
    assert (node, opened, said) == ("node", "open", "say")
    assert link == (1450, bare_pod.settings.gateway)
    assert 'ip saddr 198.18.0.1 oifname != "kttun0" masquerade' in rules
    assert set(reached[0]) == {server_module.signal.SIGTERM, server_module.signal.SIGALRM}


def test_the_client_hears_what_the_pod_is_like(pod):
    report = GatewayReport.from_json(pod.client().heard(Opened).report)
    assert report == GatewayReport(
        version=__version__,
        offloads=int(Offload.TCP),
        engine="kernel",
        engine_reason="NET_ADMIN is admitted",
        pod_mtu=1450,
        forwards_ipv4=True,
        forwards_ipv6=False,
        networks=("10.244.3.0/24",),
        nameservers=("10.96.0.10",),
        search=("svc.x", "x"),
        host=socket.gethostname(),
    )


@pytest.mark.parametrize(("report", "wish"), [(TCP_ONLY, OffloadWish.TCP), (TCP_AND_UDP, OffloadWish.ALL)])
def test_the_pods_kernel_hands_over_only_what_the_laptops_takes(pod, report, wish):
    pod.client(report).heard(Opened)
    assert pod.said.get(timeout=60) == "client connected"
    assert pod.wishes == [wish]


def test_a_clients_report_that_cannot_be_read_is_said_and_no_more(pod):
    client = pod.client(b"nonsense")
    client.heard(Opened)
    assert pod.said.get(timeout=60).startswith("client's report cannot be read: ")
    assert pod.said.get(timeout=60) == "client connected"
    assert pod.wishes == []


def test_packets_cross_both_ways_and_a_foreign_source_does_not(pod, client):
    client.kernel.send(packet())
    assert pod.kernel.recv(1000) == packet()
    answer = packet(source=socket.inet_aton("10.244.3.9"))
    pod.kernel.send(answer)
    assert client.kernel.recv(1000) == answer
    client.kernel.send(packet(source=socket.inet_aton("198.18.0.9")))
    client.kernel.send(packet(payload=b"next"))
    assert pod.kernel.recv(1000) == packet(payload=b"next")


def test_a_client_that_is_lost_may_come_back_within_the_linger_time(pod, client):
    client.cut()
    assert pod.said.get(timeout=60).startswith("client lost: ")
    assert pod.timers.get(timeout=60) == LINGER_S
    client.heard(LaneLost)
    client.attach(pod.connect())
    assert client.heard(Opened).resumed
    assert pod.said.get(timeout=60) == "client is back"
    assert pod.timers.get(timeout=60) == 0


def test_strangers_are_refused_and_disturb_nobody(pod, client):
    stranger = pod.client(key=X25519PrivateKey.generate())
    assert isinstance(stranger.heard(LaneLost).error, AuthenticationError)
    assert pod.said.get(timeout=60).startswith("stranger refused: ")
    with pod.connect() as other:
        other.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert "not a kttun stream" in pod.said.get(timeout=60)
    client.kernel.send(packet())
    assert pod.kernel.recv(1000) == packet()
    assert pod.timers.empty()


def test_a_stranger_does_not_prolong_the_wait_for_the_client(pod):
    pod.client(key=X25519PrivateKey.generate()).heard(LaneLost)
    assert pod.said.get(timeout=60).startswith("stranger refused: ")
    assert pod.timers.empty()


def test_being_stopped_it_says_good_bye(pod, client):
    pod.handlers[server_module.signal.SIGTERM](15, None)
    assert client.heard(PeerClosed) == PeerClosed(FAREWELL)
    assert pod.ended() == FAREWELL


def test_without_a_client_for_the_linger_time_it_ends(pod):
    pod.handlers[server_module.signal.SIGALRM](14, None)
    assert pod.ended() == "no client for the linger time"


def test_a_client_that_closes_ends_it(pod, client):
    client.close("the client ended the session")
    assert pod.ended() == "the client closed the session"


def test_a_tun_that_is_lost_ends_it_and_the_client_hears_why(pod, client):
    pod.kernel.close()
    assert client.heard(PeerClosed).reason.startswith("TUN lost: ")
    assert pod.ended().startswith("TUN lost: ")


def test_at_its_end_nothing_stays_open(pod, client):
    client.close("enough")
    pod.ended()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(pod.tun_fd)
    with pytest.raises(ConnectionRefusedError):
        pod.connect()


def test_a_connection_that_is_gone_before_it_was_taken_does_no_harm(pod):
    class Gone:
        def accept(self):
            raise ConnectionAbortedError

    pod.server._accept(Gone())
    assert pod.client().heard(Opened)


def test_a_port_that_is_taken_is_told(bare_pod):
    with socket.create_server(("127.0.0.1", bare_pod.settings.port)):
        bare_pod.thread.start()
        error = bare_pod.ended()
    assert isinstance(error, EnvironmentFaultError)
    assert error.message == f"cannot listen on 127.0.0.1:{bare_pod.settings.port}: Address already in use"
