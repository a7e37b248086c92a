import signal

import pytest

from kttun.errors import EnvironmentFaultError
from kttun.host.helper import Outcome
from kttun.host.invoker import Invoker
from kttun.host.spawn import _report, run_with_worker


@pytest.mark.parametrize(
    ("code", "outcome", "expected", "said"),
    [
        (0, Outcome(), 0, ""),
        (4, Outcome(), 4, ""),
        (-signal.SIGINT, Outcome(), 130, ""),
        (-signal.SIGTERM, Outcome(), 143, ""),
        (-signal.SIGHUP, Outcome(), 129, ""),
        (-signal.SIGKILL, Outcome(), 5, "kttun: the worker died (SIGKILL), everything undone\n"),
        (-signal.SIGSEGV, Outcome(("a: b",)), 5, "kttun: the worker died (SIGSEGV), not undone: a: b\n"),
        (0, Outcome(("a: b", "c: d")), 1, "kttun: the session ended, not undone: a: b; c: d\n"),
        (4, Outcome(("a: b",)), 4, "kttun: the session ended, not undone: a: b\n"),
        (0, Outcome((), "x"), 70, "kttun: the helper ended the session because of x, everything undone\n"),
        (-9, Outcome((), "x"), 5, "kttun: the helper ended the session because of x, everything undone\n"),
    ],
)
def test_the_end_of_a_session_is_told_once(capsys, code, outcome, expected, said):
    assert _report(code, outcome) == expected
    hint = "hint: sudo kttun down removes what a session left on this machine\n" if outcome.not_undone else ""
    assert capsys.readouterr().err == said + hint


def test_a_program_that_is_not_there_is_named():
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    with pytest.raises(EnvironmentFaultError, match="cannot start the worker as user 0: No such file"):
        run_with_worker(["/nowhere/program"], Invoker(0, 0, (), {}))
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)] == handlers


def test_a_worker_that_asks_nothing_changes_nothing():
    assert run_with_worker(["/bin/sh", "-c", "exit 3"], Invoker(0, 0, (), {})) == 3
    assert run_with_worker(["/bin/sh", "-c", "kill -INT $$"], Invoker(0, 0, (), {})) == 130
