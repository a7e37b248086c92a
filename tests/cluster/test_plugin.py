import datetime as dt
import json
import os
import stat
from pathlib import Path

import pytest

from kttun.cluster.kubeconfig import Entry
from kttun.cluster.plugin import run_plugin
from kttun.errors import EnvironmentFaultError

VERSION = "client.authentication.k8s.io/v1"
CLUSTER = Entry(
    "lab",
    {
        "server": "https://api",
        "extensions": [{"name": "client.authentication.k8s.io/exec", "extension": {"audience": "me"}}],
    },
    Path("/"),
)


def program(folder, script):
    path = folder / "plugin"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def run(folder, script, *, patience_s=20.0, **config):
    program(folder, script)
    body = {"exec": {"apiVersion": VERSION, "command": "./plugin", "interactiveMode": "Never", **config}}
    return run_plugin(Entry("me", body, folder), CLUSTER, {"PATH": os.environ["PATH"]}, patience_s)


def credential(version=VERSION, **status):
    return f"echo '{json.dumps({'apiVersion': version, 'kind': 'ExecCredential', 'status': status})}'"


def test_a_token_holds_until_shortly_before_it_expires(tmp_path):
    given = run(tmp_path, credential(token="t", expirationTimestamp="2030-01-01T00:00:00Z"))
    assert given.token == "t"
    expiry = dt.datetime(2030, 1, 1, tzinfo=dt.UTC)
    assert given.fresh(expiry - dt.timedelta(minutes=1))
    assert not given.fresh(expiry - dt.timedelta(seconds=10))
    assert run(tmp_path, credential(token="t")).fresh(expiry)


def test_arguments_environment_and_cluster_reach_the_plugin(tmp_path):
    seen = tmp_path / "seen"
    script = f'echo "$1 $EXTRA" > {seen}; echo "$KUBERNETES_EXEC_INFO" >> {seen}; ' + credential(token="t")
    run(tmp_path, script, args=["login"], env=[{"name": "EXTRA", "value": "more"}], provideClusterInfo=True)
    first, second = seen.read_text().splitlines()
    assert first == "login more"
    assert json.loads(second) == {
        "apiVersion": VERSION,
        "kind": "ExecCredential",
        "spec": {"interactive": False, "cluster": {"server": "https://api", "config": {"audience": "me"}}},
    }


def test_a_bare_name_is_found_by_path(tmp_path, monkeypatch):
    program(tmp_path, credential(token="by path"))
    body = {"exec": {"apiVersion": VERSION, "command": "plugin"}}
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    assert run_plugin(Entry("me", body, Path("/")), CLUSTER, {"PATH": path}).token == "by path"


@pytest.mark.parametrize(
    ("script", "config", "said"),
    [
        ("echo first >&2; echo no session, log in >&2; exit 3", {}, "ended with code 3: no session, log in"),
        ("exit 1", {}, "ended with code 1"),
        ("exec sleep 60", {}, "gave no answer within 0.2 s"),
        ("echo hello", {}, "did not print an ExecCredential"),
        ("echo '[]'", {}, "did not print an ExecCredential"),
        ("echo '{\"status\": null}'", {}, "did not print an ExecCredential"),
        (credential(), {}, "neither a token nor a certificate"),
        (credential(clientCertificateData="x"), {}, "neither a token nor a certificate"),
        (credential(token="t", expirationTimestamp="soon"), {}, "did not print an ExecCredential"),
        (credential("client.authentication.k8s.io/v1beta1", token="t"), {}, "answered as client.auth"),
        ("true", {"command": "./gone", "installHint": "get it\nfrom there"}, "is not installed"),
        ("true", {"command": "."}, "cannot be run: Permission denied"),
        ("true", {"command": "./"}, "cannot be run: Permission denied"),
        ("true", {"command": ""}, "names no command"),
    ],
)
def test_each_fault_of_a_plugin_is_named(script, config, said, tmp_path):
    with pytest.raises(EnvironmentFaultError) as caught:
        run(tmp_path, script, patience_s=0.2 if "sleep" in script else 20.0, **config)
    assert said in caught.value.message
    assert "\n" not in caught.value.message
    if "installHint" in config:
        assert caught.value.hints == ("get it",)
    elif "code" in said:
        assert caught.value.hints[0].endswith("by hand: ./plugin")


@pytest.mark.parametrize(
    ("script", "said"),
    [
        (credential(token=5), "not a text"),
        (credential(clientCertificateData=5, clientKeyData=6), "not a text"),
        ("head -c 100000 /dev/zero | tr '\\0' '['", "did not print an ExecCredential"),
        ("printf '\\377\\376\\0'", "did not print an ExecCredential"),
        (credential(token="t", expirationTimestamp=5), "did not print an ExecCredential"),
    ],
)
def test_an_answer_that_is_none_is_told(tmp_path, script, said):
    with pytest.raises(EnvironmentFaultError, match=said):
        run(tmp_path, script)


def test_a_token_that_expired_before_there_were_tokens_is_not_fresh(tmp_path):
    given = run(tmp_path, credential(token="t", expirationTimestamp="0001-01-01T00:00:00Z"))
    assert not given.fresh(dt.datetime.now(dt.UTC))


def test_a_blank_hint_of_the_kubeconfig_is_replaced_by_ours():
    body = {"exec": {"apiVersion": VERSION, "command": "no-such-plugin", "installHint": " \n "}}
    with pytest.raises(EnvironmentFaultError) as caught:
        run_plugin(Entry("me", body, Path("/")), CLUSTER, {"PATH": "/nowhere"})
    assert caught.value.hints == ("install it, or correct the kubeconfig",)


def test_a_date_in_the_cluster_reaches_the_plugin_as_text(tmp_path):
    seen = tmp_path / "seen"
    program(tmp_path, f'echo "$KUBERNETES_EXEC_INFO" > {seen}; ' + credential(token="t"))
    body = {"exec": {"apiVersion": VERSION, "command": "./plugin", "provideClusterInfo": True}}
    cluster = Entry("lab", {"server": "https://api", "since": dt.date(2020, 1, 2)}, Path("/"))
    run_plugin(Entry("me", body, tmp_path), cluster, {"PATH": os.environ["PATH"]})
    assert json.loads(seen.read_text())["spec"]["cluster"]["since"] == "2020-01-02"
