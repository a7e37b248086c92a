"""Completion in real shells, and names from a real HTTP server that speaks as an API server does."""

import os
import select
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pexpect
import pytest
import yaml
from fakes.kube import Kube, denied

BIN = Path(sys.executable).parent
BASH = """
eval "$(kttun completion bash --no-config)"
COMP_LINE=$1 COMP_POINT=${#1} COMP_TYPE=9
_python_argcomplete kttun
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture
def kube():
    with Kube() as server:
        yield server


@pytest.fixture
def home(tmp_path, monkeypatch, kube):
    """A home whose kubeconfig leads to `kube`; nothing else of this machine's counts."""
    for variable in [name for name in os.environ if name.startswith(("KTTUN_", "SUDO_", "XDG_"))]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", f"{BIN}:{os.environ['PATH']}")
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    monkeypatch.chdir(tmp_path)
    write_kubeconfig(tmp_path / "kubeconfig", kube.url)
    return tmp_path


def write_kubeconfig(path, url, user=None):
    contexts = [
        {"name": "lab", "context": {"cluster": "lab", "user": "me", "namespace": "team-shop"}},
        {"name": "live", "context": {"cluster": "lab", "user": "me"}},
    ]
    path.write_text(
        yaml.safe_dump(
            {
                "current-context": "lab",
                "contexts": contexts,
                "clusters": [{"name": "lab", "cluster": {"server": url}}],
                "users": [{"name": "me", "user": user or {}}],
            }
        )
    )


def listing(*names):
    return {"items": [{"metadata": {"name": name}} for name in names]}


def bash(line):
    done = subprocess.run(["bash", "--norc", "-c", BASH, "bash", line], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return set(done.stdout.split())


def fish(line):
    code = f"kttun completion fish | source; complete -C '{line}'"
    done = subprocess.run(["fish", "--no-config", "-c", code], capture_output=True, text=True, check=True)
    return {row.split("\t")[0] for row in done.stdout.splitlines()}


def zsh(line, expected):
    shell = pexpect.spawn("zsh", ["-f", "-i"], encoding="utf-8", timeout=30, dimensions=(50, 200))
    shell.sendline("PS1='>'; unsetopt zle_bracketed_paste; autoload -Uz compinit; compinit -u -D; print re''ady")
    shell.expect("ready")
    shell.sendline("eval \"$(kttun completion zsh)\"; print lo''aded")
    shell.expect("loaded")
    shell.send(line + "\t")
    shell.expect_exact(expected)
    shell.close(force=True)


needs = {
    name: pytest.mark.skipif(not shutil.which(name), reason=f"{name} is not installed") for name in ("fish", "zsh")
}


def test_bash_completes_commands_options_and_values(home):
    assert bash("kttun do") == {"down"}
    assert bash("kttun up --dns re") == {"resolved", "resolvconf"}
    assert bash("kttun up --ex") == {"--exclude", "--excludeIps"}
    assert bash("kttun completion ") == {"bash", "zsh", "fish"}


@needs["fish"]
def test_fish_completes_commands_options_and_values(home):
    assert fish("kttun do") == {"down"}
    assert fish("kttun up --dns re") == {"resolved", "resolvconf"}
    assert fish("kttun completion ") == {"bash", "zsh", "fish"}


@needs["zsh"]
def test_zsh_completes_commands_and_values(home):
    zsh("kttun do", "kttun down")
    zsh("kttun up --dns resolvc", "kttun up --dns resolvconf")


def test_namespaces_are_those_of_the_cluster_and_of_the_kubeconfig(home, kube):
    kube.script["GET", "/api/v1/namespaces"] = listing("team-pay", "other")
    assert bash("kttun up team") == {"team-pay", "team-shop"}
    assert bash("kttun routes -n o") == {"other"}


def test_where_listing_is_forbidden_those_of_the_kubeconfig_are_left(home, kube):
    kube.script["GET", "/api/v1/namespaces"] = denied("list", "namespaces")
    assert bash("kttun up ") == {"team-shop"}


def test_contexts_need_no_cluster(home, kube):
    assert bash("kttun up --context l") == {"lab", "live"}
    assert kube.calls == []


def test_what_was_typed_and_what_is_written_choose_the_cluster(home, kube):
    kube.script["GET", "/api/v1/namespaces"] = listing("here")
    write_kubeconfig(home / "other", "http://127.0.0.1:1")
    assert bash(f"kttun up --kubeconfig {home}/other h") == set()
    (home / ".config/kttun").mkdir(parents=True)
    (home / ".config/kttun/config.toml").write_text(f'kubeconfig = "{home}/other"')
    assert bash("kttun up h") == set()
    (home / ".config/kttun/config.toml").write_text("broken")
    assert bash("kttun up h") == {"here"}


def test_an_api_server_that_is_silent_is_not_waited_for(home):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        write_kubeconfig(home / "kubeconfig", f"http://127.0.0.1:{silent.getsockname()[1]}")
        assert bash("kttun up t") == set()


def test_a_credential_plugin_that_waits_for_a_login_is_ended(home):
    plugin = home / "plugin"
    plugin.write_text(f"#!/bin/sh\necho $$ > {home}/pid\nexec sleep 1000\n")
    plugin.chmod(0o755)
    spec = {"apiVersion": "client.authentication.k8s.io/v1", "command": str(plugin), "interactiveMode": "IfAvailable"}
    write_kubeconfig(home / "kubeconfig", "http://127.0.0.1:1", {"exec": spec})
    assert bash("kttun up t") == set()
    assert has_ended(int((home / "pid").read_text()))


def has_ended(pid):
    """Wait for the end of a process that was told to end; pidfd_open(2) tells it also of a zombie."""
    try:
        watched = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([watched], [], [], 60)[0])
    finally:
        os.close(watched)


def test_no_kubeconfig_gives_no_names(home):
    (home / "kubeconfig").unlink()
    assert bash("kttun up ") == set()


@pytest.mark.parametrize("shell", [bash, pytest.param(fish, marks=needs["fish"])])
def test_behind_the_dashes_another_commands_words_are_left_alone(home, kube, shell):
    kube.script["GET", "/api/v1/namespaces"] = listing("here")
    assert shell("kttun up here -- h") == set()
    assert kube.calls == []


@pytest.mark.parametrize(
    ("words", "names"),
    [(["do"], ["down"]), (["up", "--dns", "re"], ["resolved", "resolvconf"]), (["up", "-n", "team"], ["team-shop"])],
)
def test_kubectl_asks_its_plugin_and_gets_lines_and_a_directive(home, words, names):
    code = "from kttun.cli import complete_for_kubectl; complete_for_kubectl()"
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [*names, ":4"]


def test_kubectl_gets_nothing_behind_the_dashes(home):
    code = "from kttun.cli import complete_for_kubectl; complete_for_kubectl()"
    done = subprocess.run([sys.executable, "-c", code, "up", "--", "l"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
