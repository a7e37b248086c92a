"""What lies behind a closed folder, opened for a root without rights in a mount namespace of the test's own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import kttun
from kttun.sandbox.openpaths import needed, open_ways

HOME = Path("/run/home")
CODE = HOME / "lib" / "code"
OTHER = 65534


@pytest.fixture
def home():
    """A home directory of somebody else, and in it what the sandbox needs beside what it does not."""
    CODE.mkdir(parents=True)
    (CODE / "program").write_text("read\n")
    (HOME / "private").write_text("secret\n")
    os.chown(HOME, OTHER, OTHER)
    HOME.chmod(0o700)


def read(path):
    """Read as root without capabilities, as a container does; None if it may not."""
    command = ["setpriv", "--bounding-set", "-all", "--inh-caps", "-all", "cat", path]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 else None


def test_only_what_is_needed_can_be_read_behind_a_closed_folder(home):
    assert read(CODE / "program") is None
    open_ways([CODE])
    assert read(CODE / "program") == "read\n"
    assert [path.name for path in HOME.iterdir()] == ["lib"]


def test_a_way_that_is_open_is_left_as_it_is(home, run):
    HOME.chmod(0o755)
    before = run("cat /proc/self/mountinfo")
    open_ways([CODE, Path("/usr")])
    assert run("cat /proc/self/mountinfo") == before


def test_two_places_behind_one_folder_are_both_there(home):
    second = HOME / "venv"
    second.mkdir()
    (second / "program").write_text("too\n")
    open_ways([CODE, second])
    assert (read(CODE / "program"), read(second / "program")) == ("read\n", "too\n")


def test_what_is_needed_holds_this_python_and_kttun_once():
    places = needed()
    for file in (Path(sys.executable).resolve(), Path(sys.prefix) / "pyvenv.cfg", Path(kttun.__file__)):
        assert len([place for place in places if place in file.parents]) == 1
