"""`kttun up` decides which process it is, before anything else is loaded."""

import os
import sys

import pytest

from kttun.commands import elevate, up, worker
from kttun.errors import EnvironmentFaultError
from kttun.host import client, invoker, privileges, spawn

DRY = "--dry-run prints the plan without it"


@pytest.fixture
def calls(monkeypatch):
    """What was done, in order; nothing really is."""
    made = []

    def note(*words, result):
        return lambda *arguments: made.append((*words, *arguments)) or result

    monkeypatch.delenv(client.DESCRIPTOR_VARIABLE, raising=False)
    monkeypatch.setattr(privileges, "give_up", note("give up", result=None))
    monkeypatch.setattr(client.HelperClient, "from_environment", note("take the helper", result="helper"))
    monkeypatch.setattr(invoker, "find_invoker", lambda environ: ("invoker", environ is os.environ))
    monkeypatch.setattr(spawn, "run_with_worker", note("spawn", result=5))
    monkeypatch.setattr(worker, "work", note("work", result=7))
    return made


def test_root_stays_as_the_helper_and_starts_itself_as_the_worker(calls, run, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert run(up, "up shop --debug -- make test") == 5
    words = [sys.executable, "-P", "-m", "kttun", "up", "shop", "--debug", "--", "make", "test"]
    assert calls == [("spawn", words, ("invoker", True))]


def test_the_worker_gives_up_root_before_it_does_anything(calls, run, options, monkeypatch):
    monkeypatch.setenv(client.DESCRIPTOR_VARIABLE, "3")
    assert run(up, "up shop") == 7
    assert calls == [
        ("give up",),
        ("take the helper",),
        ("work", options("up shop").config, run.console, "helper"),
    ]


def test_a_plan_needs_no_root(calls, run, options, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert run(up, "up shop --dry-run") == 7
    assert calls == [("work", options("up shop --dry-run").config, run.console, None)]


def test_without_root_it_becomes_root_with_the_words_as_they_were(calls, run, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    became = []

    def become_root(words, console, *otherwise):
        became.append((words, console, *otherwise))
        raise EnvironmentFaultError("root is needed")

    monkeypatch.setattr(elevate, "become_root", become_root)
    with pytest.raises(EnvironmentFaultError):
        run(up, "up shop --exclude 10.0.0.0/8 -- sh -c $HOME")
    assert became == [(["up", "shop", "--exclude", "10.0.0.0/8", "--", "sh", "-c", "$HOME"], run.console, DRY)]
    assert calls == []
