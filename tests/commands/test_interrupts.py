"""Real signals to this process: the first one is raised, all later ones find us busy."""

import os
import signal
import subprocess
import sys

import pytest

from kttun.commands import interrupts as module
from kttun.commands.interrupts import Interrupted, interrupts

WATCHED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.fixture(autouse=True)
def handlers():
    before = {number: signal.signal(number, signal.SIG_DFL) for number in (*WATCHED, signal.SIGALRM)}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_is_raised_once_with_its_name_and_code(number, code):
    with pytest.raises(Interrupted, match=f"^{number.name}$") as caught, interrupts():
        signal.raise_signal(number)
    assert caught.value.exit_code == code


@pytest.mark.parametrize("first", WATCHED)
@pytest.mark.parametrize("second", WATCHED)
def test_while_things_are_undone_further_signals_do_nothing(first, second):
    undone = []
    try:
        with interrupts():
            try:
                signal.raise_signal(first)
            finally:
                os.kill(os.getpid(), second)
                undone.append("inside")
    except Interrupted:
        os.kill(os.getpid(), second)
        undone.append("outside")
    assert undone == ["inside", "outside"]


class Trap:
    """What is raised in its destructor, Python drops."""

    def __del__(self):
        signal.raise_signal(signal.SIGTERM)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # that is the point
def test_a_signal_that_was_lost_in_a_destructor_is_raised_again(monkeypatch):
    monkeypatch.setattr(module, "AGAIN_S", 0.01)

    def fall_into_it():
        Trap()
        signal.pause()

    with pytest.raises(Interrupted, match="SIGTERM"), interrupts():
        fall_into_it()
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


@pytest.mark.parametrize("number", WATCHED)
def test_after_a_block_that_failed_by_itself_they_do_nothing_as_well(number):
    with pytest.raises(ValueError, match="its own"), interrupts():
        raise ValueError("its own")
    signal.raise_signal(number)


@pytest.mark.parametrize("number", WATCHED)
def test_what_is_ignored_already_stays_so_as_nohup_asks(number):
    signal.signal(number, signal.SIG_IGN)
    with interrupts():
        signal.raise_signal(number)
        survived = True
    assert survived
    assert signal.getsignal(number) is signal.SIG_IGN


PROGRAM = """
import signal, subprocess, sys
from kttun.commands import interrupts as module
from kttun.commands.interrupts import Interrupted, interrupts

try:
    with interrupts():
        try:
            signal.pthread_sigmask(signal.SIG_BLOCK, (1, 2, 15))
            print("ready", flush=True)
            sys.stdin.readline()  # by now several of them are waiting
            signal.pthread_sigmask(signal.SIG_UNBLOCK, (1, 2, 15))
        finally:
            print("undoing", flush=True)
            sys.stdin.readline()
            dispositions = "import signal; print([signal.getsignal(n) == signal.SIG_IGN for n in (1, 2, 15)])"
            subprocess.run([sys.executable, "-c", dispositions], check=True)
            print("undone", flush=True)
except Interrupted as interrupted:
    sys.exit(interrupted.exit_code)
"""


def test_a_storm_of_signals_breaks_no_undo_and_leaves_no_word_nor_a_deaf_child():
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline() == "ready\n"
        for number in WATCHED:
            process.send_signal(number)
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.stdout.readline() == "undoing\n"
        for number in WATCHED * 100:
            process.send_signal(number)
        said, complained = process.communicate("\n")
    assert said == "[False, False, False]\nundone\n"
    assert complained == ""
    assert process.returncode in {129, 130, 143}


@pytest.mark.parametrize("number", WATCHED)
def test_what_is_held_back_is_raised_at_the_end_of_its_block(number):
    done = []

    def work():
        with interrupts() as signals:
            with signals.held_back():
                signal.raise_signal(number)
                signal.raise_signal(signal.SIGTERM)
                done.append("held")
            done.append("never")

    with pytest.raises(Interrupted) as caught:
        work()
    assert (done, caught.value.number) == (["held"], number)


def test_a_block_without_a_signal_ends_as_any_other():
    done = []
    with interrupts() as signals:
        with signals.held_back():
            done.append("first")
        with pytest.raises(ValueError, match="its own"), signals.held_back():
            raise ValueError("its own")
        done.append("second")
    assert done == ["first", "second"]
