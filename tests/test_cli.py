"""Errors become lines and exit codes; whatever else arrives is a bug, and says so."""

import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from kttun import __version__, cli, errors
from kttun.protocol.preface import VERSION


@pytest.fixture(autouse=True)
def written(tmp_path, monkeypatch):
    """A function that writes the user's configuration; nothing else of this machine's counts."""
    for variable in [name for name in os.environ if name.startswith(("KTTUN_", "SUDO_"))]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)

    def write(text):
        (tmp_path / "kttun").mkdir()
        (tmp_path / "kttun/config.toml").write_text(text)

    return write


@pytest.fixture
def command(monkeypatch):
    """A function that lets every command do something else."""

    def put(run):
        monkeypatch.setattr(cli.importlib, "import_module", lambda _name: SimpleNamespace(run=run))

    return put


def raising(error):
    def run(_options, _console):
        raise error

    return run


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (errors.EnvironmentFaultError, 1),
        (errors.UsageError, 2),
        (errors.NoSuchSessionError, 3),
        (errors.RefusedError, 4),
        (errors.TunnelError, 5),
        (errors.InternalError, 70),
    ],
)
def test_each_error_gives_its_exit_code_one_line_and_its_hints(command, capsys, kind, code):
    command(raising(kind("it broke", "mend it", "or leave it")))
    assert cli.main(["version"]) == code
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == "kttun: it broke\nhint: mend it\nhint: or leave it\n"


def test_wrong_usage_ends_with_2(capsys):
    assert cli.main(["version", "--fly"]) == 2
    assert capsys.readouterr().err.startswith("kttun: unrecognized arguments: --fly\nhint: kttun --help\n")


def test_a_bug_ends_with_70_and_shows_its_traceback(command, capsys):
    command(raising(KeyError("nobody thought of this")))
    assert cli.main(["version"]) == 70
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("Traceback")
    assert "KeyError: 'nobody thought of this'\nkttun: this is a bug in kttun\nhint: " in said.err


def test_ctrl_c_ends_with_130_and_no_traceback(command, capsys):
    command(raising(KeyboardInterrupt()))
    assert cli.main(["version"]) == 130
    assert capsys.readouterr().err == ""


def test_the_commands_own_code_is_handed_on(command):
    command(lambda _options, _console: 42)
    assert cli.main(["version"]) == 42


def test_options_reach_command_and_console(command):
    seen = []
    command(lambda options, console: seen.append((options.verb, console.quiet, console.debug, console.color)) or 0)
    assert cli.main(["status", "--quiet", "--debug", "--color", "never"]) == 0
    assert seen == [("status", True, True, "never")]


def test_the_words_of_the_process_are_the_default(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["kttun", "version"])
    assert cli.main() == 0
    assert capsys.readouterr().out == f"kttun {__version__} (tunnel protocol {VERSION})\n"


def python(*words, **more):
    return subprocess.run([sys.executable, *words], capture_output=True, text=True, timeout=60, check=False, **more)


def test_the_program_runs_as_a_module():
    done = python("-m", "kttun", "version", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f'{{"schema": 1, "version": "{__version__}", "protocol": {VERSION}}}\n'


def test_a_reader_that_goes_away_is_no_error():
    reader, writer = os.pipe()
    os.close(reader)
    words = [sys.executable, "-m", "kttun", "version"]
    done = subprocess.run(words, stdout=writer, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("modules", "unwanted"),
    [
        ("kttun.cli, kttun.commands.version", ("kubernetes", "pyroute2", "scapy", "cryptography")),
        ("kttun.cli, kttun.commands.up, kttun.host.spawn", ("kubernetes", "kttun.cluster", "scapy", "urllib3")),
        ("kttun.gateway.__main__", ("kubernetes", "kttun.cluster", "scapy", "websockets", "dns")),
    ],
)
def test_each_process_loads_only_what_it_needs(modules, unwanted):
    """The root helper never loads a Kubernetes client, and the gateway's image holds none."""
    code = f"import {modules}, sys; print([m for m in {unwanted} if m in sys.modules])"
    done = python("-c", code)
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_the_users_configuration_is_read(command, written):
    written('session = "mine"\nquiet = true')
    seen = []
    command(lambda options, console: seen.append((options.session, console.quiet)) or 0)
    assert cli.main(["up"]) == 0
    assert seen == [("mine", True)]


def test_root_behind_sudo_reads_no_configuration(command, written, monkeypatch):
    written("this is not TOML")
    monkeypatch.setattr(cli.os, "geteuid", lambda: 0)
    monkeypatch.setenv("SUDO_UID", "1000")
    monkeypatch.setenv("KTTUN_SESSION", "mine")
    seen = []
    command(lambda options, _console: seen.append(options.session) or 0)
    assert cli.main(["up"]) == 0
    assert seen == [None]


def test_root_behind_sudo_completes_nothing(monkeypatch, capsys):
    monkeypatch.setattr(cli.os, "geteuid", lambda: 0)
    monkeypatch.setenv("SUDO_UID", "1000")
    monkeypatch.setenv("_ARGCOMPLETE", "1")
    assert cli.main(["up"]) == 1
    assert capsys.readouterr() == ("", "")


def test_a_broken_configuration_is_wrong_usage_for_up_and_a_warning_for_down(command, written, capsys):
    written("\nimgae = 1")
    command(lambda _options, _console: 0)
    assert cli.main(["up"]) == 2
    assert "config.toml:2: unknown key imgae\nhint: did you mean image?\n" in capsys.readouterr().err
    assert cli.main(["down"]) == 0
    said = capsys.readouterr().err
    assert said.startswith("kttun: warning: ")
    assert "config.toml:2: unknown key imgae; the configuration is left out\nhint: did you mean image?\n" in said


def test_a_working_directory_that_is_gone_has_no_project_file(command, written, tmp_path, monkeypatch):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    command(lambda _options, _console: 7)
    assert cli.main(["up"]) == 7


HEAVY = (
    "kubernetes",
    "cryptography",
    "pyroute2",
    "pytun",
    "dns",
    "websockets",
    "urllib3",
    "yaml",
    "ssl",
    "argcomplete",
)
LISTING = "import sys; from kttun.cli import main; main({words}); print(*sys.modules, file=sys.stderr)"


@pytest.mark.parametrize("words", [["status"], ["status", "--json"], ["version"], ["config", "path"], ["down", "-h"]])
def test_quick_commands_load_nothing_heavy(words, written):
    code = LISTING.format(words=words)
    if "-h" in words:
        code = f"import atexit, sys; atexit.register(lambda: print(*sys.modules, file=sys.stderr))\n{code}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    loaded = set(done.stderr.split())
    assert "kttun.arguments" in loaded
    assert loaded.isdisjoint(HEAVY)
