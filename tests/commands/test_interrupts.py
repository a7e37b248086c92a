"""Real signals to this process: the first one is raised, all later ones find us busy."""

import os
import signal

import pytest

from kttun.commands.interrupts import Interrupted, interrupts

WATCHED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.fixture(autouse=True)
def handlers():
    before = {number: signal.signal(number, signal.SIG_DFL) for number in WATCHED}
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
def test_while_things_are_undone_further_signals_are_ignored(first, second):
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


@pytest.mark.parametrize("number", WATCHED)
def test_after_a_block_that_failed_by_itself_they_are_ignored_as_well(number):
    with pytest.raises(ValueError, match="its own"), interrupts():
        raise ValueError("its own")
    signal.raise_signal(number)
    assert signal.getsignal(number) is signal.SIG_IGN


@pytest.mark.parametrize("number", WATCHED)
def test_what_is_ignored_already_stays_so_as_nohup_asks(number):
    signal.signal(number, signal.SIG_IGN)
    with interrupts():
        signal.raise_signal(number)
        survived = True
    assert survived
