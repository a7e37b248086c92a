"""Helper and worker as real processes: whatever ends one of them, the machine is as before."""

import json
import os
import pwd
import signal
import socket
import stat
import subprocess
from contextlib import suppress
from dataclasses import replace
from ipaddress import ip_address, ip_interface, ip_network
from pathlib import Path
from types import MappingProxyType

import pytest

from kttun.config import DnsMode
from kttun.host import leftovers
from kttun.host.helper import Places
from kttun.routing.hostconfig import HostConfig
from kttun.routing.names import plan_names

NOBODY = 65534
ORIGINAL = "nameserver 192.168.7.1\nsearch corp.example\n"
OWN = ip_address("10.99.0.1")

CONFIG = HostConfig(
    session="one",
    tun_mtu=1450,
    addresses=(ip_interface("10.99.0.1/32"), ip_interface("fd99::1/128")),
    routes=(ip_network("10.96.0.0/12"), ip_network("fd00:96::/108")),
    throws=(ip_network("10.96.0.10/32"),),
    resolver=plan_names("shop", "cluster.local", (OWN,), DnsMode.RESOLVCONF),
    dns_listen=(OWN, ip_address("fd99::1")),
    control_socket=True,
)


class Run:
    """One session: the parent's process, and a conversation with its worker."""

    def __init__(self, python, resolv_conf, environment):
        self.process = subprocess.Popen(
            [python.interpreter, python.programs / "parent.py", resolv_conf, "/nowhere"],
            env={**os.environ, **python.environment, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.worker = self.read()

    def read(self):
        line = self.process.stdout.readline()
        return json.loads(line) if line else self.fail()

    def fail(self):
        raise AssertionError(self.process.stderr.read())

    def ask(self, **request):
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return self.read()

    def apply(self, config):
        return self.ask(apply=config.to_json())

    def ended(self):
        """Wait for both processes (both hold the pipes); return exit code and what was said on stderr."""
        _, said = self.process.communicate()
        return self.process.returncode, said


@pytest.fixture
def resolv_conf():
    Path("/run/etc").mkdir()
    path = Path("/run/etc/resolv.conf")
    path.write_text(ORIGINAL)
    return path


@pytest.fixture
def start(resolv_conf, python):
    runs = []

    def make(environment=MappingProxyType({})):
        runs.append(Run(python, resolv_conf, environment))
        return runs[-1]

    yield make
    for run in runs:
        run.process.kill()
        with suppress(BrokenPipeError), run.process:
            if not run.process.stdin.closed:
                run.process.communicate()


@pytest.fixture
def before(machine, resolv_conf):
    return machine()


@pytest.fixture
def untouched(machine, resolv_conf, before):
    """A function that proves that nothing of a session is left."""

    def prove():
        assert machine() == before
        assert resolv_conf.read_text() == ORIGINAL
        assert [path.name for path in resolv_conf.parent.iterdir()] == ["resolv.conf"]
        assert list(Path("/run/kttun").iterdir()) == []
        assert leftovers.find(Places(resolv_conf=resolv_conf)) == ()

    return prove


def test_an_end_of_file_undoes_everything(start, untouched, machine, before):
    session = start()
    session.apply(CONFIG)
    assert machine() != before
    assert session.ended() == (0, "")
    untouched()


def test_the_workers_exit_code_is_handed_on(start, untouched):
    session = start()
    session.apply(CONFIG)
    session.process.stdin.write('{"exit": 4}\n')
    assert session.ended() == (4, "")
    untouched()


def test_everything_is_handed_up_once(start, resolv_conf, run):
    session = start()
    first = session.apply(replace(CONFIG, resolver=None))
    assert first["tun"]
    assert first["control"]
    assert [entry[:3] for entry in first["dns"]] == [
        ["10.99.0.1", False, 53],
        ["10.99.0.1", True, 53],
        ["fd99::1", False, 53],
        ["fd99::1", True, 53],
    ]
    assert first["in_force"]["tun_name"] == "kttun0"
    assert first["in_force"]["resolver"] is None
    assert set(first["in_force"]["routes"]) == {"10.96.0.0/12", "fd00:96::/108"}
    assert "dev kttun0" in run("ip route get 10.96.0.1")
    second = session.apply(CONFIG)
    assert (second["tun"], second["control"], second["dns"]) == (False, False, [])
    assert second["in_force"]["resolver"] == "resolvconf"
    assert len(second["echo"]) == 1
    assert session.apply(CONFIG)["echo"] == []
    assert "nameserver 10.99.0.1\n" in resolv_conf.read_text()
    assert session.apply(replace(CONFIG, resolver=None))["in_force"]["resolver"] is None
    assert resolv_conf.read_text() == ORIGINAL


def test_a_worker_that_is_killed_leaves_nothing(start, untouched):
    session = start()
    session.apply(CONFIG)
    os.kill(session.worker["pid"], signal.SIGKILL)
    assert session.ended() == (5, "kttun: the worker died (SIGKILL), everything undone\n")
    untouched()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 143)])
def test_a_signal_to_the_helper_alone_ends_the_worker_in_order(start, untouched, number, code):
    session = start()
    session.apply(CONFIG)
    session.process.send_signal(number)
    session.process.wait()  # before its stdin is closed, which would end the worker as well
    assert session.ended() == (code, "")
    untouched()


def test_ctrl_c_pressed_many_times_ends_in_order(start, untouched):
    session = start()
    session.apply(CONFIG)
    for _ in range(5):
        os.killpg(session.process.pid, signal.SIGINT)
    session.process.wait()
    assert session.ended() == (130, "")
    untouched()


def test_a_stopped_worker_that_is_killed_leaves_nothing(start, untouched):
    session = start()
    session.apply(CONFIG)
    os.kill(session.worker["pid"], signal.SIGSTOP)
    os.kill(session.worker["pid"], signal.SIGKILL)
    assert session.ended()[0] == 5
    untouched()


def test_a_helper_that_is_killed_is_cleaned_up_without_memory(start, untouched, machine, resolv_conf, echo):
    session = start()
    session.apply(CONFIG)
    session.process.kill()
    assert session.ask(wait=True) == {"gone": True}
    assert session.ended()[0] == -signal.SIGKILL
    places = Places(resolv_conf=resolv_conf)
    found = leftovers.find(places)
    assert {leftover.kind for leftover in found} == {"rule", "routes", "resolver", "socket"}
    leftovers.remove(found, echo)
    assert echo.failures == []
    untouched()


def test_a_living_session_is_no_leftover(start, resolv_conf, machine, echo):
    session = start()
    session.apply(CONFIG)
    state, text = machine(), resolv_conf.read_text()
    places = Places(resolv_conf=resolv_conf)
    assert leftovers.find(places) == ()
    leftovers.remove(leftovers.find(places), echo)
    assert (machine(), resolv_conf.read_text()) == (state, text)


def test_a_persistent_device_of_our_name_is_a_leftover(run, echo, resolv_conf):
    run("ip tuntap add dev kttun7 mode tun && ip link set dev kttun7 up")
    run("ip tuntap add dev theirs mode tun && ip link set dev theirs up")
    found = leftovers.find(Places(resolv_conf=resolv_conf))
    assert [(leftover.kind, leftover.name) for leftover in found] == [("device", "kttun7")]
    leftovers.remove(found, echo)
    assert "kttun7" not in run("ip link")
    assert "theirs" in run("ip link")


def test_a_leftover_that_cannot_be_removed_does_not_stop_the_others(run, echo, resolv_conf):
    run("ip tuntap add dev kttun7 mode tun && ip link set dev kttun7 up")
    run("ip tuntap add dev kttun8 mode tun && ip link set dev kttun8 up")
    found = leftovers.find(Places(resolv_conf=resolv_conf))
    run("ip link del kttun7")
    leftovers.remove(found, echo)
    assert len(echo.failures) == 1
    assert "kttun8" not in run("ip link")


def test_a_second_session_of_the_same_name_is_refused_and_harms_nothing(start, machine):
    first = start()
    first.apply(CONFIG)
    state = machine()
    second = start()
    refusal = second.apply(CONFIG)
    assert (refusal["code"], refusal["error"]) == (4, "a session one is running")
    second.ended()
    assert machine() == state


def test_the_socket_of_a_dead_session_is_taken_over(start, untouched):
    Path("/run/kttun").mkdir()
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind("/run/kttun/one.sock")
    session = start()
    assert session.apply(CONFIG)["control"]
    session.ended()
    untouched()


@pytest.mark.parametrize(
    "line",
    [
        "nonsense",
        "[" * 100_000,
        "{}",
        '{"do": "run", "config": {}}',
        '{"do": "apply", "config": {}}',
        '{"do": "apply", "config": null, "extra": 1}',
        json.dumps({"do": "apply", "config": {**CONFIG.to_json(), "session": "../../etc"}}),
        json.dumps({"do": "apply", "config": {**CONFIG.to_json(), "routes": ["0.0.0.0/0"] * 20_001}}),
    ],
)
def test_an_invalid_request_is_answered_and_changes_nothing(start, machine, before, line):
    session = start()
    reply = session.ask(send=line + "\n")["reply"]
    assert reply["ok"] is False
    assert reply["error"]
    assert machine() == before
    session.apply(CONFIG)
    state = machine()
    assert session.ask(send=line + "\n")["reply"]["ok"] is False
    assert machine() == state


def test_a_message_without_end_ends_the_session(start, untouched):
    session = start()
    session.apply(CONFIG)
    assert session.ask(send="x" * (5 << 20))["reply"] is None
    code, said = session.ended()
    assert code == 70
    assert said == (
        "kttun: the helper ended the session because of a message of more than 4194304 bytes, everything undone\n"
    )
    untouched()


def test_a_change_that_fails_goes_back_to_the_state_before(start, machine, run):
    session = start()
    session.apply(replace(CONFIG, dns_listen=(OWN,), control_socket=False))
    state = machine()
    with socket.socket(socket.AF_INET6) as squatter:
        squatter.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        squatter.bind(("::", 53))
        squatter.listen()
        failed = session.apply(replace(CONFIG, routes=CONFIG.routes[:1]))
    assert "port 53 of fd99::1: Address already in use" in failed["error"]
    assert machine() == state
    done = session.apply(CONFIG)
    assert [entry[0] for entry in done["dns"]] == ["fd99::1", "fd99::1"]
    assert done["control"]


def test_a_first_change_that_fails_leaves_nothing(start, untouched, run):
    run("ip tuntap add dev theirs mode tun")
    session = start()
    assert "theirs exists" in session.apply(replace(CONFIG, tun_name="theirs"))["error"]
    run("ip link del theirs")
    untouched()


def test_a_session_keeps_its_identity(start, machine):
    session = start()
    session.apply(CONFIG)
    state = machine()
    for other in (replace(CONFIG, session="two"), replace(CONFIG, tun_name="kttun5")):
        assert "until it ends" in session.apply(other)["error"]
    assert machine() == state


def test_a_forced_resolver_that_is_not_there_is_named(start, resolv_conf, untouched):
    session = start()
    plan = replace(CONFIG.resolver, mode=DnsMode.RESOLVED)
    failed = session.apply(replace(CONFIG, resolver=plan))
    assert failed["error"] == (
        "no way to give the host's resolver the cluster's names (resolved: resolvectl is not installed)"
    )
    untouched()


# --- privileges -------------------------------------------------------------------------------------------------------


@pytest.fixture
def by_sudo():
    account = pwd.getpwuid(NOBODY)
    return {"SUDO_UID": str(NOBODY), "SUDO_GID": str(account.pw_gid), "SUDO_USER": account.pw_name}


def test_behind_sudo_the_worker_is_the_user_and_never_root_again(start, by_sudo, untouched):
    session = start(by_sudo)
    assert session.worker["uid"] == [NOBODY] * 3
    assert 0 not in session.worker["groups"]
    assert session.worker["home"] == pwd.getpwuid(NOBODY).pw_dir
    assert session.worker["user"] == "nobody"
    assert not session.worker["inheritable"]
    assert session.ask(attack=True) == {"worked": []}
    assert session.apply(CONFIG)["tun"]
    assert session.ask(attack=True) == {"worked": []}
    found = Path("/run/kttun/one.sock").stat()
    assert (found.st_uid, stat.S_IMODE(found.st_mode)) == (NOBODY, 0o600)
    assert stat.S_IMODE(Path("/run/kttun").stat().st_mode) == 0o755
    assert session.ended() == (0, "")
    untouched()


def test_root_without_sudo_keeps_its_uid_and_loses_its_power(start, untouched):
    session = start({"SUDO_UID": "0", "SUDO_GID": "0"})
    assert session.worker["uid"] == [0, 0, 0]
    assert session.ask(attack=True) == {"worked": []}
    assert session.apply(CONFIG)["tun"]
    assert session.ended() == (0, "")
    untouched()


def test_a_killed_worker_of_another_user_leaves_nothing(start, by_sudo, untouched):
    session = start(by_sudo)
    session.apply(CONFIG)
    os.kill(session.worker["pid"], signal.SIGKILL)
    assert session.ended()[0] == 5
    untouched()
