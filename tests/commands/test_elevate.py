"""Becoming root: by sudo where somebody can be asked, else by telling the line to type."""

import io
import os
import sys

import pytest

from kttun.commands import elevate
from kttun.errors import EnvironmentFaultError

WORDS = ["up", "shop", "--exclude", "10.0.0.0/8", "--", "sh", "-c", "$HOME"]


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Our program as an installation of one user has it."""
    path = tmp_path / "bin" / "kttun"
    path.parent.mkdir()
    path.touch()
    monkeypatch.setattr(sys, "argv", [str(path)])
    return path


@pytest.fixture
def sudo(tmp_path, monkeypatch):
    """A sudo in PATH, and what would have been run."""
    path = tmp_path / "sudo"
    path.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    ran = []
    monkeypatch.setattr(os, "execv", lambda *words: ran.append(words))
    return path, ran


def test_at_a_terminal_sudo_takes_over_with_our_absolute_path(program, sudo, console, monkeypatch):
    path, ran = sudo
    monkeypatch.setattr(sys, "stdin", Terminal())
    elevate.become_root(WORDS, console)
    assert ran == [(str(path), ["sudo", str(program), *WORDS])]
    line = f"sudo {program} up shop --exclude 10.0.0.0/8 -- sh -c '$HOME'"
    assert console.stream.getvalue() == f"root is needed to make a network device and routes: {line}\n"


@pytest.mark.parametrize("stdin", [None, io.StringIO()])
def test_in_a_script_the_line_is_told_and_nothing_is_asked(program, sudo, console, monkeypatch, stdin):
    monkeypatch.setattr(sys, "stdin", stdin)
    with pytest.raises(EnvironmentFaultError) as caught:
        elevate.become_root(WORDS, console, "or do without")
    assert caught.value.hints == (
        f"sudo {program} up shop --exclude 10.0.0.0/8 -- sh -c '$HOME'",
        "or do without",
    )
    assert sudo[1] == []


def test_without_sudo_the_line_is_told(program, tmp_path, console, monkeypatch):
    monkeypatch.setattr(sys, "stdin", Terminal())
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EnvironmentFaultError):
        elevate.become_root(WORDS, console)


def test_a_closed_standard_input_is_nobody(program, sudo, console, monkeypatch):
    closed = Terminal()
    closed.close()
    monkeypatch.setattr(sys, "stdin", closed)
    with pytest.raises(EnvironmentFaultError):
        elevate.become_root(WORDS, console)


def test_a_relative_name_becomes_absolute(program, monkeypatch):
    monkeypatch.chdir(program.parent)
    monkeypatch.setattr(sys, "argv", ["./kttun"])
    assert elevate.this_program() == [str(program)]


@pytest.mark.parametrize("called", ["/x/kttun/__main__.py", "-c", "/nowhere/kttun"])
def test_run_as_a_module_it_is_started_as_one_and_never_from_the_working_directory(called, monkeypatch):
    monkeypatch.setattr(sys, "argv", [called])
    assert elevate.this_program() == [sys.executable, "-P", "-m", "kttun"]
