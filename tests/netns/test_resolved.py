"""The real systemd-resolved, unpacked (never installed) into a private mount namespace with a bus of its own."""

import os
import select
import shutil
import socket
import subprocess
import threading
from contextlib import contextmanager
from ipaddress import ip_address, ip_interface
from pathlib import Path

import dns.message
import dns.rrset
import pytest

from kttun.host import netlink
from kttun.host.resolver.resolved import Resolved
from kttun.host.tun import open_tun
from kttun.routing.hostconfig import HostConfig
from kttun.routing.names import plan_names

OWN = ip_address("10.99.0.1")
CONFIG = HostConfig("one", 1400, addresses=(ip_interface("10.99.0.1/32"),))
PLAN = plan_names("shop", "cluster.local", (OWN,))
USER = "systemd-resolve"


@pytest.fixture(scope="session")
def package(tmp_path_factory):
    """The folder that Debian's package unpacks to."""
    if not all(shutil.which(program) for program in ("apt-get", "dpkg-deb", "dbus-daemon")):
        pytest.skip("needs apt-get, dpkg-deb and dbus-daemon")
    folder = tmp_path_factory.mktemp("resolved")
    fetched = subprocess.run(["apt-get", "download", USER + "d"], cwd=folder, check=False, capture_output=True)
    packages = list(folder.glob("*.deb"))
    if fetched.returncode or not packages:
        pytest.skip("the package systemd-resolved cannot be fetched")
    subprocess.run(["dpkg-deb", "-x", packages[0], folder / "root"], check=True)
    return folder / "root"


@pytest.fixture
def resolved(package, run):
    """A running systemd-resolved; its resolvectl is in the folder that is returned."""
    for kind, line in (("passwd", f"{USER}:x:998:998::/:/bin/false"), ("group", f"{USER}:x:998:")):
        merged = Path("/run") / kind
        others = [entry for entry in Path("/etc", kind).read_text().splitlines() if not entry.startswith(USER)]
        merged.write_text("\n".join([*others, line, ""]))
        run(f"mount --bind {merged} /etc/{kind}")
    for folder in ("dbus", "systemd/resolve"):
        (Path("/run") / folder).mkdir(parents=True)
    os.chown("/run/systemd/resolve", 998, 998)
    policies = next(path for path in package.rglob("system.d") if path.parent.name == "dbus-1")
    run(f"mount --bind {policies} /etc/dbus-1/system.d")
    daemon, tool = (program(package, name) for name in ("systemd-resolved", "resolvectl"))
    with running("dbus-daemon", "--system", "--nofork", "--nopidfile", "--print-address") as bus:
        assert bus.stdout.readline()
        with running(daemon) as process:
            while subprocess.run([tool, "dns"], check=False, capture_output=True).returncode:
                assert process.poll() is None
            yield str(tool.parent)


def program(package, name):
    return next(path for path in package.rglob(name) if path.is_file() and os.access(path, os.X_OK))


@contextmanager
def running(*argv):
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.terminate()


@pytest.fixture
def asked():
    """The questions that reach a name server on the TUN's address; it answers each by 10.96.1.2."""
    questions = []
    stop, stopped = socket.socketpair()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server, stop, stopped:
        server.setsockopt(socket.IPPROTO_IP, 15, 1)  # IP_FREEBIND
        server.bind((str(OWN), 53))

        def answer():
            while server in select.select([server, stopped], [], [])[0]:
                wire, sender = server.recvfrom(4096)
                query = dns.message.from_wire(wire)
                name = query.question[0].name
                questions.append(name.to_text())
                response = dns.message.make_response(query)
                response.answer.append(dns.rrset.from_text(name, 5, "IN", "A", "10.96.1.2"))
                server.sendto(response.to_wire(), sender)

        thread = threading.Thread(target=answer)
        thread.start()
        yield questions
        stop.close()
        thread.join()


def query(tools, name):
    done = subprocess.run(
        [f"{tools}/resolvectl", "--legend=no", "-4", "query", name], check=False, capture_output=True, text=True
    )
    return done.stdout.split()[1] if done.returncode == 0 else None


def test_cluster_names_are_asked_here_and_public_names_never(resolved, tun, echo, asked, run):
    netlink.apply(tun, CONFIG, echo)
    method = Resolved(Path("/run/systemd/resolve/stub-resolv.conf"), resolved)
    assert method.obstacle() is None
    method.apply(tun.name, PLAN, echo)
    assert query(resolved, "db.shop.svc.cluster.local") == "10.96.1.2"
    assert query(resolved, "db.other.svc") == "10.96.1.2"
    assert query(resolved, "db") == "10.96.1.2"
    assert query(resolved, "example.com") is None
    assert set(asked) <= {"db.shop.svc.cluster.local.", "db.other.svc.", "db.svc.cluster.local.", "db.cluster.local."}
    stub = Path("/run/systemd/resolve/stub-resolv.conf").read_text()
    assert "search shop.svc.cluster.local svc.cluster.local cluster.local" in stub
    method.apply(tun.name, PLAN, echo)
    method.undo(tun.name, echo)
    assert "cluster.local" not in run(f"{resolved}/resolvectl domain {tun.name}")
    assert query(resolved, "db.shop.svc.cluster.local") is None


def test_the_end_of_the_link_undoes_it(resolved, echo, asked, run):
    opened = open_tun()
    netlink.apply(opened, CONFIG, echo)
    Resolved(Path("/run/systemd/resolve/stub-resolv.conf"), resolved).apply(opened.name, PLAN, echo)
    opened.close()
    assert "cluster.local" not in run(f"{resolved}/resolvectl domain")
    assert query(resolved, "db.shop.svc.cluster.local") is None
