"""The gateway process in a namespace of its own, between a laptop and a pod network, the real kernel in all three.

    laptop  kttun0 198.18.0.1 --tunnel over 127.0.0.1:7107-- gateway eth0 10.244.3.5 --veth-- 10.244.3.9 pod network

The process gets the two capabilities that the Job asks for and no other.
"""

import base64
import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_interface

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from fakes.far_end import SESSION_ID, NearEnd

from kttun.gateway.server import FAREWELL
from kttun.host.device import configure_link
from kttun.host.tun import DEVICE, Offload, open_tun
from kttun.link.pump import LaneLost
from kttun.protocol.errors import AuthenticationError
from kttun.protocol.events import Opened, PeerClosed
from kttun.rendezvous import ENVIRONMENT_NAME, KEY_LINE, GatewayReport, GatewaySettings

PORT = 7107
POD4, POD6 = "10.244.3.9", "fd00:244:3::9"
GATEWAY4, GATEWAY6 = "10.244.3.5", "fd00:244:3::5"
LAPTOP = (ip_interface("198.18.0.1/30"), ip_interface("fd6b:7474:756e::1/126"))
FAR_END = (ip_interface("198.18.0.2/30"), ip_interface("fd6b:7474:756e::2/126"))
STRANGE = ip_interface("198.18.0.77/32")
NETWORK = f"""
ip netns add gateway && ip netns add pods
ip link add eth0 netns gateway mtu 1450 type veth peer name eth0 netns pods mtu 1450
ip -n gateway address add {GATEWAY4}/24 dev eth0 && ip -n gateway address add {GATEWAY6}/64 dev eth0 nodad
ip -n pods address add {POD4}/24 dev eth0 && ip -n pods address add {POD6}/64 dev eth0 nodad
for name in gateway pods; do ip -n $name link set lo up; ip -n $name link set eth0 up; done
ip -n gateway route add default via {POD4}
ip netns exec gateway sh -c 'echo 1 > /proc/sys/net/ipv4/ip_forward; echo 1 > /proc/sys/net/ipv6/conf/all/forwarding'
"""
RULES = """\
table inet kttun {
	chain postrouting {
		type nat hook postrouting priority srcnat; policy accept;
		ip saddr 198.18.0.1 oifname != "kttun0" masquerade
		ip6 saddr fd6b:7474:756e::1 oifname != "kttun0" masquerade
	}

	chain forward {
		type filter hook forward priority filter; policy accept;
		oifname "kttun0" ct state != { established, related } reject
	}
}
"""
NO_MORE_RIGHTS = ["setpriv", "--bounding-set", "-all,+net_admin,+mknod", "--inh-caps", "-all", "--no-new-privs"]

_libc = ctypes.CDLL(None, use_errno=True)


def inside(name, act):
    """Do something in a thread that lives in the network namespace; sockets that it makes stay there."""

    def enter():
        home = os.open(f"/run/netns/{name}", os.O_RDONLY)
        try:
            if _libc.setns(home, 0) != 0:
                raise OSError(ctypes.get_errno(), "setns")
        finally:
            os.close(home)
        return act()

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(enter).result(60)


class Gateway:
    """One gateway process; `said` are the lines of its log behind the key."""

    def __init__(self, linger_s):
        self.client_key = X25519PrivateKey.generate()
        public = self.client_key.public_key().public_bytes_raw()
        settings = GatewaySettings(public, SESSION_ID, PORT, LAPTOP, FAR_END, linger_s)
        self.process = subprocess.Popen(
            ["ip", "netns", "exec", "gateway", *NO_MORE_RIGHTS, sys.executable, "-m", "kttun.gateway"],
            env={**os.environ, ENVIRONMENT_NAME: settings.to_json()},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def begin(self):
        """Wait for the key."""
        line = self.said()
        assert line.startswith(KEY_LINE), line + self.process.stdout.read()
        self.public_key = base64.b64decode(line.removeprefix(KEY_LINE), validate=True)
        return self

    def said(self):
        return self.process.stdout.readline().rstrip("\n")

    def connect(self):
        return inside("gateway", lambda: socket.create_connection(("127.0.0.1", PORT)))

    def ended(self):
        """Wait for the end; give the exit code and what was said last."""
        with self.process:
            lines = self.process.stdout.read().splitlines()
        return self.process.returncode, lines[-1]

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            with self.process:
                self.process.stdout.read()


@pytest.fixture
def start(run, namespaces):
    """A function that starts the gateway in its pod, where no device node is."""
    started = []

    def make(linger_s=600.0):
        run(f"set -e; {NETWORK}")
        with contextlib.suppress(FileNotFoundError):
            DEVICE.unlink()
        started.append(Gateway(linger_s))
        return started[-1].begin()

    yield make
    for gateway in started:
        gateway.kill()


@pytest.fixture
def connect(run, echo):
    """A function that joins this namespace, as the laptop, to a gateway."""
    ends, tuns = [], []

    def join(gateway):
        tun = open_tun()
        tuns.append(tun)
        configure_link(tun, 1450, (*LAPTOP, STRANGE), echo)
        run("ip route add 10.244.3.0/24 dev kttun0 && ip -6 route add fd00:244:3::/64 dev kttun0")
        report = GatewayReport("1", int(Offload.TCP | Offload.UDP)).to_json()
        inner = [address.ip.packed for address in (*LAPTOP, STRANGE)]
        end = NearEnd(gateway.client_key, gateway.public_key, report, tun=tun, inner=inner)
        ends.append(end)
        end.attach(gateway.connect())
        end.report = GatewayReport.from_json(end.heard(Opened).report)
        assert gateway.said() == "client connected"
        return end

    yield join
    for end in ends:
        end.free()
    for tun in tuns:
        tun.close()


@pytest.fixture
def gateway(start):
    return start()


@pytest.fixture
def laptop(gateway, connect):
    """The laptop, connected; this process lives in its namespace."""
    return connect(gateway)


@pytest.fixture
def echo_server():
    """A function that starts a TCP server in a namespace; it sends back what it gets. Gives its port and its peers."""
    listeners, threads = [], []

    def serve(name, address):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        listener = inside(name, lambda: socket.create_server((address, 0), family=family))
        listeners.append(listener)
        peers = []

        def answer():
            with contextlib.suppress(OSError):
                connection, peer = listener.accept()
                peers.append(peer[0])
                with connection:
                    while block := connection.recv(1 << 20):
                        connection.sendall(block)

        threads.append(threading.Thread(target=answer, daemon=True))
        threads[-1].start()
        return listener.getsockname()[1], peers

    yield serve
    for listener, thread in zip(listeners, threads, strict=True):
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(60)


@pytest.fixture
def udp_server():
    """A UDP socket in the pod network."""
    with inside("pods", lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as server:
        server.settimeout(60)
        server.bind((POD4, 0))
        yield server


def test_the_pod_is_reported_as_it_is(laptop):
    report = laptop.report
    assert (report.engine, report.pod_mtu, report.forwards_ipv4, report.forwards_ipv6) == ("kernel", 1450, True, True)
    assert set(report.networks) == {"10.244.3.0/24", "fd00:244:3::/64"}


@pytest.mark.parametrize("address", [POD4, POD6])
def test_ping_goes_through(laptop, run, address):
    assert "1 received" in run(f"ping -c 1 -W 30 {address}")


@pytest.mark.parametrize(("address", "seen_as"), [(POD4, GATEWAY4), (POD6, GATEWAY6)])
def test_tcp_goes_both_ways_and_the_pod_sees_the_gateway(laptop, echo_server, address, seen_as):
    port, peers = echo_server("pods", address)
    data = os.urandom(4 << 20)
    received = bytearray()
    with socket.create_connection((address, port), timeout=60) as client:
        sender = threading.Thread(target=client.sendall, args=(data,))
        sender.start()
        while len(received) < len(data):
            received += client.recv(1 << 20)
        sender.join(60)
    assert bytes(received) == data
    assert peers == [seen_as]


def test_a_dns_cache_at_a_link_local_address_of_the_node_is_reached_as_a_pod_reaches_it(laptop, run, echo_server):
    """NodeLocal DNSCache: the address is on the node alone, behind the pod's default route."""
    run("ip -n pods address add 169.254.20.10/32 dev lo && ip route add 169.254.20.10/32 dev kttun0")
    port, peers = echo_server("pods", "169.254.20.10")
    with socket.create_connection(("169.254.20.10", port), timeout=60) as client:
        client.sendall(b"question")
        assert client.recv(100) == b"question"
    assert peers == [GATEWAY4]


def test_a_large_datagram_goes_both_ways_whole(laptop, udp_server):
    data = os.urandom(27_000)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(60)
        client.sendto(data, udp_server.getsockname())
        received, peer = udp_server.recvfrom(65_535)
        assert (received, peer[0]) == (data, GATEWAY4)
        udp_server.sendto(data[::-1], peer)
        assert client.recv(65_535) == data[::-1]


@pytest.mark.parametrize("address", [POD4, POD6])
def test_a_refused_port_is_refused(laptop, address):
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((address, 9), timeout=60)


def test_a_refused_datagram_port_is_told(laptop):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(60)
        client.connect((POD4, 9))
        client.send(b"anybody?")
        with pytest.raises(ConnectionRefusedError):
            client.recv(1)


def received_by(run):
    """Packets that the gateway's kernel took from its TUN."""
    return int(run("ip netns exec gateway cat /sys/class/net/kttun0/statistics/rx_packets"))


def test_a_source_that_is_not_the_sessions_never_reaches_the_pods_kernel(laptop, udp_server, run):
    before = received_by(run)
    for source in (STRANGE, STRANGE, LAPTOP[0]):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.bind((str(source.ip), 0))
            client.sendto(str(source.ip).encode(), udp_server.getsockname())
    assert udp_server.recv(100) == b"198.18.0.1"
    assert received_by(run) == before + 1


@pytest.mark.parametrize(("version", "address", "via"), [(4, "198.18.0.1", GATEWAY4), (6, str(LAPTOP[1].ip), GATEWAY6)])
def test_neighbours_in_the_pod_network_cannot_open_connections_to_the_laptop(laptop, run, version, address, via):
    run(f"ip -n pods -{version} route add {address} via {via}")
    family = socket.AF_INET if version == 4 else socket.AF_INET6
    with socket.create_server((address, 0), family=family) as server:
        server.setblocking(False)
        port = server.getsockname()[1]
        with pytest.raises(OSError, match=r"refused|unreachable"):
            inside("pods", lambda: socket.create_connection((address, port), timeout=60))
        with pytest.raises(BlockingIOError):
            server.accept()


def test_the_listener_is_for_the_pods_own_loopback_only(gateway):
    with pytest.raises(ConnectionRefusedError):
        inside("pods", lambda: socket.create_connection((GATEWAY4, PORT), timeout=60))


def test_a_client_with_another_key_is_refused_and_the_first_goes_on(gateway, laptop, echo_server):
    port, _ = echo_server("pods", POD4)
    with socket.create_connection((POD4, port), timeout=60) as program:
        program.sendall(b"before")
        assert program.recv(100) == b"before"
        stranger = NearEnd(X25519PrivateKey.generate(), gateway.public_key, b"{}")
        stranger.attach(gateway.connect())
        assert isinstance(stranger.heard(LaneLost).error, AuthenticationError)
        stranger.free()
        assert gateway.said().startswith("stranger refused: ")
        program.sendall(b"after")
        assert program.recv(100) == b"after"
    assert not any(isinstance(event, LaneLost) for event in laptop.told())


def test_programs_survive_a_client_that_comes_back(gateway, laptop, echo_server):
    port, _ = echo_server("pods", POD4)
    with socket.create_connection((POD4, port), timeout=60) as program:
        program.sendall(b"before")
        assert program.recv(100) == b"before"
        laptop.cut()
        laptop.heard(LaneLost)
        assert gateway.said().startswith("client lost: ")
        program.sendall(b"while away")
        laptop.attach(gateway.connect())
        assert laptop.heard(Opened).resumed
        assert gateway.said() == "client is back"
        assert program.recv(100) == b"while away"


def test_the_rules_are_these_and_no_more(laptop, run):
    assert run("ip netns exec gateway nft list ruleset") == RULES


def test_without_a_client_it_ends_by_itself(start):
    assert start(linger_s=0.1).ended() == (0, "ended: no client for the linger time")


def test_when_its_client_stays_away_it_ends_by_itself(start, connect):
    gateway = start(linger_s=1.0)
    laptop = connect(gateway)
    laptop.cut()
    assert gateway.ended() == (0, "ended: no client for the linger time")


def test_being_stopped_it_says_good_bye(gateway, laptop):
    # `ip netns exec` and setpriv have become the gateway by execve(2): it is the process that was started.
    gateway.process.send_signal(signal.SIGTERM)
    assert laptop.heard(PeerClosed) == PeerClosed(FAREWELL)
    assert gateway.ended() == (0, f"ended: {FAREWELL}")


def test_a_client_that_closes_ends_it_and_its_device_goes(gateway, laptop, run):
    laptop.close("the client ended the session")
    assert gateway.ended() == (0, "ended: the client closed the session")
    assert "kttun0" not in run("ip -n gateway link")
