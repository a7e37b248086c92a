"""The proofs themselves; that nothing can be regained is shown with real processes in tests/netns."""

import os
import subprocess
import sys

import pytest

from kttun.errors import InternalError
from kttun.host.privileges import give_up, prove_given_up

CLEAN = "Name:\tx\nCapInh:\t0000000000000000\nCapPrm:\t0\nCapEff:\t0\nCapAmb:\t0\nNoNewPrivs:\t1\n"


@pytest.fixture
def proc(tmp_path, monkeypatch):
    """A /proc in small, of a process that cannot raise anything."""

    def refuse(*_):
        raise PermissionError(1, "Operation not permitted")

    def make(status=CLEAN, threads=1, uid=1000):
        for number in range(threads):
            (tmp_path / "self/task" / str(number)).mkdir(parents=True)
        (tmp_path / "self/status").write_text(status)
        monkeypatch.setattr("kttun.host.privileges.set_capabilities", refuse)
        monkeypatch.setattr(os, "setuid", refuse)
        monkeypatch.setattr(os, "getuid", lambda: uid)
        monkeypatch.setattr(os, "getresuid", lambda: (uid, uid, uid))
        return tmp_path

    return make


@pytest.mark.parametrize("uid", [0, 1000])
def test_a_clean_process_passes(proc, uid):
    prove_given_up(proc(uid=uid))


@pytest.mark.parametrize("name", ["CapInh", "CapPrm", "CapEff", "CapAmb"])
def test_any_capability_left_is_an_error(proc, name):
    status = CLEAN.replace(f"{name}:\t0", f"{name}:\t1")
    with pytest.raises(InternalError, match=name):
        prove_given_up(proc(status))


def test_root_that_may_gain_by_exec_is_an_error(proc):
    with pytest.raises(InternalError, match="running a program"):
        prove_given_up(proc(CLEAN.replace("NoNewPrivs:\t1", "NoNewPrivs:\t0"), uid=0))


def test_a_way_back_to_root_is_an_error(proc, monkeypatch):
    place = proc()
    monkeypatch.setattr(os, "getresuid", lambda: (1000, 1000, 0))
    with pytest.raises(InternalError, match="root again"):
        prove_given_up(place)
    monkeypatch.setattr(os, "getresuid", lambda: (1000, 1000, 1000))
    monkeypatch.setattr(os, "setuid", lambda uid: None)
    with pytest.raises(InternalError, match="root again"):
        prove_given_up(place)


def test_a_capability_that_can_be_raised_is_an_error(proc, monkeypatch):
    place = proc()
    monkeypatch.setattr("kttun.host.privileges.set_capabilities", lambda mask: None)
    with pytest.raises(InternalError, match="raise a capability"):
        prove_given_up(place)


def test_a_second_thread_is_an_error(proc):
    with pytest.raises(InternalError, match="thread"):
        give_up(proc(threads=2))


def test_a_process_gives_up_for_good():
    program = (
        "from kttun.host.privileges import give_up, prove_given_up\n"
        "give_up(); give_up(); prove_given_up()\n"
        "print(open('/proc/self/status').read())\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    status = dict(line.split(":\t", 1) for line in done.stdout.splitlines() if ":\t" in line)
    assert {int(status[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")} == {0}
    if os.geteuid() == 0:
        assert int(status["CapBnd"], 16) == 0
        assert status["NoNewPrivs"] == "1"
