"""`kttun demo` before it starts anything; the whole is in tests/netns/test_demo.py."""

import importlib.util
import os
import shutil

import pytest

from kttun.commands import demo, elevate
from kttun.errors import EnvironmentFaultError


@pytest.fixture(autouse=True)
def complete(monkeypatch, tmp_path):
    """A machine that has everything; the device can be opened as any file can."""
    device = tmp_path / "tun"
    device.touch()
    monkeypatch.setattr(demo, "DEVICE", device)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/sbin/{name}")
    return device


@pytest.fixture
def refused(run):
    """A function that runs the demo, which refuses, and gives what it said."""

    def call():
        with pytest.raises(EnvironmentFaultError) as caught:
            run(demo, "demo")
        assert run.out() == ""
        return (caught.value.message, *caught.value.hints)

    return call


def test_packages_that_are_missing_are_named(refused, monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name in {"jwt", "grpclib"} else found(name))
    assert refused() == (
        "the demo needs the sandbox, and it packages that are not installed: grpclib, PyJWT",
        "pip install 'kttun[sandbox]'",
    )


def test_nft_is_needed(refused, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    assert refused() == ("the demo needs the program nft", "apt install nftables")


def test_the_device_is_needed(refused, complete):
    complete.unlink()
    assert refused() == (f"the demo needs {complete}: No such file or directory", "modprobe tun")


def test_a_device_that_may_not_be_opened_is_no_missing_driver(refused, monkeypatch):
    def refuse(*_arguments):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "open", refuse)
    message, hint = refused()
    assert message.endswith(": Operation not permitted")
    assert "a container must be given the device" in hint


def test_without_root_it_becomes_root_with_the_words_as_they_were(run, monkeypatch):
    became = []

    def become_root(words, console):
        became.append((words, console))
        raise EnvironmentFaultError("root is needed")

    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(elevate, "become_root", become_root)
    with pytest.raises(EnvironmentFaultError):
        run(demo, "demo --keep")
    assert became == [(["demo", "--keep"], run.console)]
