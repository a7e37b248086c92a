"""Who does what on the laptop: the helper has root and nothing else, the worker everything else and no root."""

from __future__ import annotations

from pathlib import Path

import pytest

from .laptop import PYTHON

pytestmark = pytest.mark.cluster

PROBE = Path(__file__).with_name("regain.py")
NO_CAPABILITY = "0000000000000000"
FOREIGN = ("kubernetes", "cryptography", "urllib3", "websockets", "yaml", "dns", "requests", "scapy")
"""What the worker may load and the helper never: whatever speaks to the cluster or reads what comes from there."""
ROOMS_OF_THE_HELPER = {"host", "routing", "commands", "settings"}
"""`settings` for the names of the options: tests/netns/test_configuration.py shows that root reads no file."""


def packages(process):
    """Give the packages that a process has loaded, those of kttun by room."""
    rooms, foreign = set(), set()
    for path in process.python_files():
        _, mark, module = path.partition("/site-packages/")
        if mark:
            foreign.add(module.partition("/")[0])
        elif (parts := path.partition("/kttun/")[2].split("/"))[1:]:
            rooms.add(parts[0])
    return rooms, foreign


def credentials(process):
    """The words of setpriv(1) that give a program exactly the power of a process."""
    status = process.status()
    uid, gid = status["Uid"].split()[0], status["Gid"].split()[0]
    words = ["setpriv", "--reuid", uid, "--regid", gid, "--groups", ",".join(status["Groups"].split()) or gid]
    words += ["--inh-caps=-all", "--ambient-caps=-all"]
    if status["CapBnd"] == NO_CAPABILITY:
        words += ["--bounding-set=-all"]
    if uid == "0":
        words += ["--securebits=+noroot,+noroot_locked,+no_setuid_fixup,+no_setuid_fixup_locked"]
    if status["NoNewPrivs"] == "1":
        words += ["--no-new-privs"]
    return words


def test_a_worker_of_root_keeps_nothing_of_roots_power(admin):
    """First, since a session of root beside one of `dev` to the same networks is refused."""
    with admin.connected("feature-1", "--session", "root-worker") as up:
        status = up.worker.status()
        for kind in ("CapInh", "CapPrm", "CapEff", "CapAmb", "CapBnd"):
            assert status[kind] == NO_CAPABILITY, kind
        assert status["NoNewPrivs"] == "1"
        refused = admin.output(*credentials(up.worker), PYTHON, PROBE).split()
    # uid 0 is what it is, so setuid(0) asks for nothing.
    assert refused == ["setuid:done", "TUNSETIFF:EPERM", "RTM_NEWRULE:EPERM", "chown:EPERM", "capset:EPERM"]


def test_the_worker_runs_as_the_user_without_any_capability(connected):
    status = connected.worker.status()
    assert status["Uid"].split() == ["1000"] * 4
    assert status["Gid"].split() == ["1000"] * 4
    assert "0" not in status["Groups"].split()
    for kind in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
        assert status[kind] == NO_CAPABILITY, kind


def test_ps_shows_the_helper_as_root_and_the_worker_as_the_user(dev, connected):
    lines = dev.output("ps", "-eo", "user=,args=").splitlines()
    users = [line.split()[0] for line in lines if "kttun up" in line and "sudo" not in line]
    assert sorted(users) == ["dev", "root"]
    assert connected.helper.status()["Uid"].split() == ["0"] * 4


def test_the_helper_has_loaded_neither_kubernetes_nor_cryptography_nor_packet_parsing(connected):
    rooms, foreign = packages(connected.helper)
    assert "host" in rooms, "the control: what it has loaded is found"
    assert rooms <= ROOMS_OF_THE_HELPER
    assert not foreign & set(FOREIGN)


def test_the_worker_has_loaded_what_the_helper_has_not(connected):
    rooms, foreign = packages(connected.worker)
    assert {"cluster", "link", "packet", "protocol"} <= rooms
    assert {"kubernetes", "cryptography"} <= foreign


def test_with_the_workers_credentials_root_cannot_be_regained(admin, connected):
    assert admin.output(*credentials(connected.worker), PYTHON, PROBE).split() == [
        "setuid:EPERM", "TUNSETIFF:EPERM", "RTM_NEWRULE:EPERM", "chown:EPERM", "capset:EPERM",
    ]  # fmt: skip


def test_the_probe_finds_root_where_there_is_root(admin):
    """The control: each of these acts works for root on this machine."""
    assert admin.output(PYTHON, PROBE).split() == [
        "setuid:done", "TUNSETIFF:done", "RTM_NEWRULE:done", "chown:done", "capset:done",
    ]  # fmt: skip
