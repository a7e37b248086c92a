"""`kttun demo` whole, on a machine that is a network namespace: what it shows, and that nothing of it stays."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from kttun.commands.claim import MARK
from kttun.sandbox.lifecycle import running
from kttun.sandbox.shape import CANDIDATES, RUN

DEMO = (sys.executable, "-m", "kttun", "demo")
FIRST_LOOK = "$ getent ahostsv4 web\n"
CONNECTED = "# this machine is in the cluster's network now"
SOON_S = 60


def kttun(*words):
    command = (sys.executable, "-m", "kttun", *words)
    return subprocess.run(command, capture_output=True, text=True, timeout=SOON_S, check=False)


@pytest.fixture(autouse=True)
def resolver(run):
    """A resolv.conf of the machine's own; systemd-resolved is none of this namespace."""
    Path("/run/resolv.conf").write_text("nameserver 192.0.2.1\n")
    run("mount --bind /run/resolv.conf /etc/resolv.conf")


@pytest.fixture
def everything(machine):
    """A function that tells all that a demo could leave: links, routes, rules, files, names, processes."""

    def tell():
        files = sorted(str(path) for path in Path("/run").rglob("*") if path != Path("/run/kttun"))
        return {"files": files, "names": Path("/etc/resolv.conf").read_text(), "pids": ours(), **machine()}

    return tell


def ours():
    """Give the processes in this test's mount namespace, which all have that were started from it; not this one."""
    home = namespace("self")
    return [pid for pid in every_process() if pid != os.getpid() and namespace(pid) == home]


def every_process():
    return [int(path.name) for path in Path("/proc").glob("[0-9]*")]


def namespace(pid):
    try:
        return Path(f"/proc/{pid}/ns/mnt").readlink()
    except OSError:
        return None


def of_the_sandbox():
    """Give the processes of the sandbox that runs, its pods' too: those whose PID namespace is in its own."""
    first = running().pid
    lines = {pid: stat(pid) for pid in every_process()}
    found = {first}
    for pid in sorted(lines):
        if lines[pid] and int(lines[pid][1]) in found:
            found.add(pid)
    return found


def stat(pid):
    """Give the fields of proc(5)'s stat behind the name: state and parent first."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None


def alive(pids):
    return [pid for pid in pids if (fields := stat(pid)) and fields[0] != "Z"]


@pytest.fixture
def begun():
    """A function that starts a demo and gives it once a line has been printed; what is not ended by then is killed."""
    processes = []

    def begin(line, *options):
        process = subprocess.Popen([*DEMO, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        processes.append(process)
        for printed in process.stdout:
            if line in printed:
                return process
        raise AssertionError(process.stderr.read())

    yield begin
    for process in processes:
        process.kill()
        process.communicate()
    kttun("down", "--all")
    kttun("sandbox", "stop")


def test_three_in_a_row_are_alike_though_one_was_killed(everything, begun):
    before = everything()
    first = kttun("demo")
    assert first.returncode == 0, first.stdout + first.stderr
    assert everything() == before

    killed = begun(FIRST_LOOK)
    pids = of_the_sandbox()
    killed.send_signal(signal.SIGKILL)
    assert killed.wait() == -signal.SIGKILL
    assert running() is not None

    third = kttun("demo")
    assert third.returncode == 0, third.stdout + third.stderr
    assert "removed what a demo that was killed had left" in third.stderr
    assert commands(third.stdout) == commands(first.stdout)
    assert (everything(), alive(pids)) == (before, [])


def commands(shown):
    """Give the commands that a demo printed, without what is made up anew in each."""
    return [line.split("10.213")[0] for line in shown.splitlines() if line.startswith("$ ")]


def test_what_it_shows_is_what_the_commands_printed(begun):
    shown = kttun("demo").stdout
    assert [line.split()[1] for line in commands(shown)] == [
        *("sudo", "sudo", "curl", "getent", "getent", "ping", "bash", "bash", "kttun", "kttun", "kttun")
    ]
    for seen in ("\nweb-", " 0% packet loss", "\nhello\n", "Connection refused", "\nfeature-1: open since "):
        assert seen in shown
    assert shown.splitlines()[-1].startswith("+ end ")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("line", ["$ sudo kttun sandbox start", "$ sudo kttun up", FIRST_LOOK, "$ kttun stats"])
def test_a_signal_at_any_moment_undoes_everything(everything, begun, number, line):
    before = everything()
    process = begun(line)
    process.send_signal(number)
    _, said = process.communicate(timeout=SOON_S)
    assert (process.returncode, f"{number.name}: undoing everything" in said) == (128 + number, True), said
    assert everything() == before


def test_what_is_kept_runs_on_and_is_no_demos_any_more(everything, run):
    before = everything()
    kept = kttun("demo", "--keep")
    assert kept.returncode == 0, kept.stdout + kept.stderr
    assert kept.stdout.splitlines()[-1] == "  sudo kttun down --session feature-1 && sudo kttun sandbox stop"
    assert run("curl -sS http://web/").startswith("web-")

    again = kttun("demo")
    assert (again.returncode, "a sandbox is running" in again.stderr) == (4, True)
    assert run("curl -sS http://web/").startswith("web-")

    assert kttun("down", "--session", "feature-1").returncode == 0
    assert kttun("sandbox", "stop").returncode == 0
    assert everything() == before


def test_a_sandbox_of_somebodys_own_stays(begun):
    begun(FIRST_LOOK).kill()
    assert kttun("sandbox", "stop").returncode == 0
    assert kttun("sandbox", "start", "--no-examples").returncode == 0
    found = running()
    assert kttun("demo").returncode == 4
    assert running() == found


def test_a_killed_demo_is_cleared_away_by_hand_as_well(everything, begun):
    before = everything()
    begun(FIRST_LOOK).kill()
    assert kttun("down", "--session", "feature-1").returncode == 0
    assert kttun("sandbox", "stop").returncode == 0
    assert kttun("demo").returncode == 0
    assert everything() == before


def test_networks_that_this_machine_has_are_left_alone(device):
    device("lan0", f"{CANDIDATES[0].pods[9]}/24")
    done = kttun("demo")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"pods in {CANDIDATES[1].pod_cidr}" in done.stdout


def test_a_step_that_does_not_hold_is_named_and_everything_undone(everything, run):
    Path("/run/curl").write_text("#!/bin/sh\necho nobody\n")
    Path("/run/curl").chmod(0o755)
    run("mount --bind /run/curl $(command -v curl)")
    before = everything()
    done = kttun("demo", "--keep")
    assert (done.returncode, "did not hold: curl -sS http://web/" in done.stderr) == (1, True)
    assert everything() == before


def test_without_the_device_nothing_is_started(everything, run):
    run("umount /dev/net && mount -t tmpfs none /dev/net")
    before = everything()
    done = kttun("demo")
    assert (done.returncode, done.stdout) == (1, "")
    assert "the demo needs /dev/net/tun: No such file or directory" in done.stderr
    assert everything() == before


def test_a_second_demo_waits_for_the_end_of_the_first(begun):
    first = begun(CONNECTED)
    second = kttun("demo")
    assert second.returncode == 0, second.stdout + second.stderr
    assert "another demo is running: waiting for its end" in second.stderr
    first.communicate(timeout=SOON_S)
    assert first.returncode == 0
    assert (MARK.exists(), RUN.exists()) == (False, False)
