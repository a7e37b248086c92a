"""The practice cluster on the real kernel: its life and end, its pods, Services and names, and `kttun up` to it."""

import json
import os
import pwd
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import dns.message
import dns.query
import pytest

from kttun.cluster.login import log_in
from kttun.cluster.rest import Rest
from kttun.config import ClusterChoice
from kttun.sandbox.control import tell
from kttun.sandbox.lifecycle import KUBECONFIGS, running
from kttun.sandbox.namespaces import inside
from kttun.sandbox.shape import CANDIDATES, RUN

SHAPE = CANDIDATES[0]
PODS = "/api/v1/namespaces/default/pods"
VISIT = Path(__file__).parent / "programs" / "visit.py"
SERVING = "0801"
SOON_S = 20


def kttun(*words, **more):
    command = [sys.executable, "-m", "kttun", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, **more)


def until(holds, what):
    limit = time.monotonic() + SOON_S
    while not (found := holds()):
        assert time.monotonic() < limit, f"never: {what}"
        time.sleep(0.02)  # between two looks at what another process does
    return found


@contextmanager
def sandbox(*options, **more):
    done = kttun("sandbox", "start", *options, **more)
    assert done.returncode == 0, done.stderr
    try:
        yield
    finally:
        assert kttun("sandbox", "stop").returncode == 0


@pytest.fixture
def bare():
    """A sandbox without examples, and its API for an administrator."""
    with sandbox("--no-examples", "--image", "shell:1=sh -c"):
        yield Rest(log_in(ClusterChoice(kubeconfig=KUBECONFIGS["admin"]), {}).api)


@pytest.fixture
def node():
    """The node's network, to make sockets in."""

    @contextmanager
    def enter():
        network = os.open(f"/proc/{running().pid}/ns/net", os.O_RDONLY)
        try:
            with inside(network):
                yield
        finally:
            os.close(network)

    return enter


def members(pid):
    """Give all processes in the PID namespace of a process and in those below it, as this machine numbers them."""
    found = {pid}
    for path in sorted(Path("/proc").glob("[0-9]*"), key=lambda path: int(path.name)):
        try:
            if int((path / "stat").read_text().rpartition(")")[2].split()[1]) in found:
                found.add(int(path.name))
        except OSError:
            continue
    return found


def writers_of_the_log():
    """Give the processes whose stderr lies in this test's own /run, whoever their parent is."""
    device, found = Path("/run").stat().st_dev, []
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (path / "fd" / "2").stat().st_dev == device:
                found.append(int(path.name))
    return found


def left_of(pids):
    """Give those that run still; one that nobody has reaped yet does not."""
    found = []
    for pid in pids:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
                found.append(pid)
        except OSError:
            continue
    return found


def run_pod(rest, script, *, name="p", policy="Never", **more):
    container = {"name": "main", "image": "shell:1", "args": [script], **more.pop("container", {})}
    spec = {"restartPolicy": policy, "terminationGracePeriodSeconds": 1, "containers": [container], **more}
    meta = {"name": name, "labels": {"app": name}}
    return rest.create(PODS, {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec})


def pod_when(rest, holds, name="p"):
    def look():
        pod = rest.get(f"{PODS}/{name}")
        return pod if holds(pod["status"]) else None

    return until(look, f"what pod {name} should be")


def phase(*wanted):
    return lambda status: status.get("phase") in wanted


def log(rest, name="p"):
    return rest.text(f"{PODS}/{name}/log", container="main")


def state(pod):
    return pod["status"]["containerStatuses"][0]["state"]


def test_start_and_stop_leave_the_machine_as_it_was(machine):
    before = machine()
    with sandbox():
        pids = members(running().pid)
        assert len(pids) > 10
        told = json.loads(kttun("sandbox", "status", "--json").stdout)
        assert (told["schema"], told["running"], told["server"]) == (1, True, f"https://{SHAPE.node}:6443")
        again = kttun("sandbox", "start")
        assert (again.returncode, "runs already" in again.stderr) == (4, True)
    assert left_of(pids) == []
    assert (machine(), RUN.exists()) == (before, False)
    assert kttun("sandbox", "stop").returncode == 0
    assert kttun("sandbox", "status").returncode == 3
    assert json.loads(kttun("sandbox", "status", "--json").stdout) == {"schema": 1, "running": False}


def test_a_killed_sandbox_takes_everything_along_and_stop_finds_the_rest(machine, run):
    before = machine()
    with sandbox("--no-examples", "--image", "shell:1=sh -c"):
        rest = Rest(log_in(ClusterChoice(kubeconfig=KUBECONFIGS["admin"]), {}).api)
        run_pod(rest, "sleep 1000")
        pod_when(rest, phase("Running"))
        pids = members(running().pid)
        os.kill(running().pid, signal.SIGKILL)
        until(lambda: not left_of(pids), "the end of all processes")
        until(lambda: "kttun-sandbox" not in run("ip -o link"), "the end of the line")
        assert running() is None
        assert "unreachable" in run("ip route")
        (RUN / "state.json").unlink()
    assert (machine(), RUN.exists()) == (before, False)


@pytest.mark.parametrize("until_there", [RUN / "log", RUN / "state.json", RUN / "control.sock"])
def test_a_start_that_is_killed_half_way_leaves_nothing_that_stop_does_not_find(machine, until_there):
    before = machine()
    starting = subprocess.Popen([sys.executable, "-m", "kttun", "sandbox", "start"], stderr=subprocess.DEVNULL)
    until(until_there.exists, f"{until_there} of a start")
    assert until_there.name == "log" or left_of(writers_of_the_log())
    starting.kill()
    starting.wait()
    assert kttun("sandbox", "stop").returncode == 0
    until(lambda: not left_of(writers_of_the_log()), "the end of what was begun")
    assert (machine(), RUN.exists()) == (before, False)


def test_start_clears_away_what_a_dead_one_left(bare):
    os.kill(running().pid, signal.SIGKILL)
    until(lambda: running() is None, "the end of the sandbox")
    assert kttun("sandbox", "start", "--no-examples").returncode == 0
    assert running() is not None


def test_kubeconfigs_belong_to_whoever_ran_sudo():
    nobody = pwd.getpwnam("nobody")
    user = {"SUDO_USER": "nobody", "SUDO_UID": str(nobody.pw_uid), "SUDO_GID": str(nobody.pw_gid)}
    with sandbox(env=os.environ | user):
        owners = [(path.stat().st_uid, path.stat().st_mode & 0o777) for path in KUBECONFIGS.values()]
        assert owners == [(nobody.pw_uid, 0o600)] * 2
        key = (RUN / "service-accounts.key").stat()
        assert (key.st_uid, key.st_mode & 0o777) == (0, 0o600)


def test_practice_packets_have_no_way_out(bare, run, device):
    device("eth0", "192.168.7.2/24")
    run("ip route add default via 192.168.7.1")
    for network in (SHAPE.pod_cidr, SHAPE.service_cidr):
        with pytest.raises(subprocess.CalledProcessError) as refused:
            run(f"ip route get {network[99]}")
        assert "No route to host" in refused.value.stderr


def test_a_developer_reaches_every_example_through_a_tunnel(run):
    Path("/run/resolv.conf").write_text("nameserver 192.0.2.1\n")
    run("mount --bind /run/resolv.conf /etc/resolv.conf")
    with sandbox():
        done = kttun(
            *("up", "feature-1", "--kubeconfig", str(KUBECONFIGS["dev"]), "--dns", "resolvconf"),
            *("--", sys.executable, str(VISIT)),
        )
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout)
    assert found.pop("http").startswith("web-")
    assert len(found.pop("headless")) == 2
    assert found == {
        "tcp": "hello",
        "udp": "hello",
        "websocket": "hello",
        "health": SERVING,
        "echo": "07",
        "refused": True,
    }


def test_a_pod_has_its_own_world(bare):
    run_pod(
        bare,
        "hostname; cat /etc/resolv.conf; ls /sys/class/net /dev; cat /proc/sys/net/ipv4/ip_forward; echo $$; id -u;"
        "grep -E 'CapBnd|NoNewPrivs' /proc/self/status; grep p$ /etc/hosts; echo $WORD",
        container={
            "env": [{"name": "WORD", "value": "spoken"}],
            "securityContext": {"capabilities": {"drop": ["ALL"], "add": ["NET_ADMIN"]}, "runAsUser": 1000}
            | {"allowPrivilegeEscalation": False},
        },
    )
    pod = pod_when(bare, phase("Succeeded", "Failed"))
    told = log(bare).split()
    address = pod["status"]["podIP"]
    assert (told[0], told[-1], told[-2]) == ("p", "spoken", "p")
    assert told[1:5] == ["search", "default.svc.cluster.local", "svc.cluster.local", "cluster.local"]
    assert told[5:9] == ["nameserver", str(SHAPE.dns_service), "options", "ndots:5"]
    assert {"eth0", "lo", "null", "urandom"} <= set(told)
    assert "kttun-sandbox" not in told
    assert told[told.index("CapBnd:") + 1] == f"{1 << 12:016x}"
    assert told[told.index("CapBnd:") - 3 : told.index("CapBnd:")] == ["1", "1", "1000"]
    assert (told[told.index("NoNewPrivs:") + 1], told[-3]) == ("1", address)


def test_an_exit_code_is_told(bare):
    run_pod(bare, "exit 3")
    ended = state(pod_when(bare, phase("Failed")))["terminated"]
    assert (ended["exitCode"], ended["reason"]) == (3, "Error")


def test_a_container_that_fails_is_started_again(bare):
    run_pod(bare, "exit 1", policy="OnFailure")
    pod = pod_when(bare, lambda status: (status.get("containerStatuses") or [{}])[0].get("restartCount"))
    assert pod["status"]["phase"] == "Running"


def test_a_program_that_is_not_there_is_said_so(bare):
    run_pod(bare, "", container={"command": ["/absent"]})
    ended = state(pod_when(bare, phase("Failed")))["terminated"]
    assert (ended["exitCode"], ended["reason"]) == (128, "StartError")
    assert "/absent" in ended["message"]


def test_an_image_that_the_sandbox_does_not_have_is_not_pulled(bare):
    run_pod(bare, "", container={"image": "127.0.0.1:1/absent:1"})
    pod = pod_when(bare, lambda status: "waiting" in (status.get("containerStatuses") or [{}])[0].get("state", {}))
    waiting = state(pod)["waiting"]
    assert waiting["reason"] == "ErrImagePull"
    assert "127.0.0.1:1/absent:1" in waiting["message"]


def test_a_pod_gets_sigterm_and_is_gone_when_it_has_ended(bare):
    run_pod(bare, "trap 'echo told; exit 0' TERM; echo up; while :; do sleep 0.02; done")
    pod_when(bare, phase("Running"))
    until(lambda: "up" in log(bare), "the first word")
    lines = bare.lines(f"{PODS}/p/log", timeout_s=SOON_S, container="main", follow="true")
    assert next(lines).strip() == "up"
    bare.delete(f"{PODS}/p", {"gracePeriodSeconds": 30})
    assert next(lines).strip() == "told"
    until(lambda: not list(bare.items(PODS)), "the end of the pod")


def test_a_pod_that_does_not_listen_is_killed_after_its_grace(bare):
    run_pod(bare, "trap '' TERM; while :; do sleep 1000; done")
    pod_when(bare, phase("Running"))
    pids = members(running().pid)
    bare.delete(f"{PODS}/p", {"gracePeriodSeconds": 1})
    until(lambda: not list(bare.items(PODS)), "the end of the pod")
    assert len(left_of(pids)) < len(pids)


SERVER = "import http.server as h; h.ThreadingHTTPServer(('', 8080), h.SimpleHTTPRequestHandler).serve_forever()"


def test_a_service_leads_to_ready_pods_and_refuses_without_any(bare, node):
    ports = [{"name": "http", "port": 80, "targetPort": 8080}]
    service = {"metadata": {"name": "s"}, "spec": {"selector": {"app": "s"}, "ports": ports}}
    made = bare.create("/api/v1/namespaces/default/services", {"apiVersion": "v1", "kind": "Service", **service})
    address = made["spec"]["clusterIP"]

    def connects():
        with node():
            connection = socket.socket()
        with connection:
            connection.settimeout(5)
            return connection.connect_ex((address, 80)) == 0

    assert not connects()
    command = [sys.executable, "-c", SERVER]
    probe = {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1}
    run_pod(bare, "", name="s", container={"command": command, "args": [], "readinessProbe": probe})
    until(connects, "an end behind the Service")
    bare.delete(f"{PODS}/s", {"gracePeriodSeconds": 0})
    until(lambda: not connects(), "nobody behind the Service")


def test_a_pod_reaches_itself_and_the_api_by_service(bare):
    ports = [{"port": 80, "targetPort": 8080}]
    service = {"metadata": {"name": "s"}, "spec": {"selector": {"app": "p"}, "ports": ports}}
    bare.create("/api/v1/namespaces/default/services", {"apiVersion": "v1", "kind": "Service", **service})
    script = (
        "import http.server as h, threading, time, urllib.request as u, socket\n"
        "s = h.ThreadingHTTPServer(('', 8080), h.SimpleHTTPRequestHandler)\n"
        "threading.Thread(target=s.serve_forever, daemon=True).start()\n"
        "socket.create_connection(('kubernetes.default', 443), 5)\n"
        "while True:\n"
        "    try: print(u.urlopen('http://s/', timeout=5).status, flush=True); break\n"
        "    except OSError: time.sleep(0.02)\n"
    )
    run_pod(bare, "", container={"command": [sys.executable, "-c", script], "args": []})
    pod_when(bare, phase("Succeeded", "Failed"))
    assert log(bare).splitlines()[-1] == "200"


@pytest.mark.parametrize("ask", [dns.query.udp, dns.query.tcp])
def test_cluster_dns_answers_at_its_service_address(bare, node, ask):
    query = dns.message.make_query("kubernetes.default.svc.cluster.local", "A")
    with node():
        answer = ask(query, str(SHAPE.dns_service), timeout=5)
    assert [str(record) for record in answer.answer[0]] == [str(SHAPE.api_service)]


def test_faults_come_and_go(bare):
    def listens():
        with socket.socket() as connection:
            connection.settimeout(5)
            return connection.connect_ex((str(SHAPE.node), 6443)) == 0

    assert listens()
    tell("kill", "apiserver")
    assert listens()
    assert kttun("sandbox", "fault", "stop", "forwarding").returncode == 0
    run_pod(bare, "cat /proc/sys/net/ipv4/ip_forward")
    pod_when(bare, phase("Succeeded"))
    assert log(bare).strip() == "0"
    unknown = kttun("sandbox", "fault", "stop", "kubelet")
    assert (unknown.returncode, "known: kill" in unknown.stderr) == (2, True)
