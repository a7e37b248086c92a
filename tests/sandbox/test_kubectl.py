"""kubectl, where the machine has one: get, logs, port-forward and delete."""

import os
import re
import shutil
import socket
import subprocess

import pytest
from practice import listening

from kttun.sandbox.kinds import PODS

KUBECTL = shutil.which("kubectl")
pytestmark = pytest.mark.skipif(KUBECTL is None, reason="this machine has no kubectl")


@pytest.fixture
def kubectl(shop, tmp_path):
    """Run kubectl as administrator; give its stdout."""
    spec = {"nodeName": "n1", "containers": [{"name": "main", "image": "i"}]}
    shop.create(PODS, {"metadata": {"name": "p", "namespace": "shop", "labels": {"app": "p"}}, "spec": spec})
    status = {"phase": "Running", "containerStatuses": [{"name": "main", "state": {"running": {}}}]}
    shop.call(shop.store.update, PODS, "shop", "p", lambda found: found.update(status=status))
    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "KUBECONFIG": str(shop.kubeconfig())}

    def run(*words, stdin="", code=0):
        done = subprocess.run(
            [KUBECTL, *words], input=stdin, capture_output=True, text=True, timeout=60, check=False, env=environ
        )
        assert done.returncode == code, done.stderr
        return done.stdout if not code else done.stderr

    run.environ = environ
    return run


def test_get_names_what_is_there(kubectl):
    assert kubectl("get", "pods", "-o", "name") == "pod/p\n"
    lines = [line.split() for line in kubectl("get", "po").splitlines()]
    assert (lines[0], lines[1][0]) == (["NAME", "AGE"], "p")
    assert kubectl("get", "po", "-A").splitlines()[1].split()[:2] == ["shop", "p"]
    assert kubectl("get", "pods", "-A", "-l", "app=p", "-o", "jsonpath={.items[*].metadata.namespace}") == "shop"
    assert 'pods "q" not found' in kubectl("get", "pod", "q", code=1)


def test_logs_are_printed(shop, kubectl):
    shop.runtime.printed["p", "main"] = [b"one\n", b"two\n"]
    assert kubectl("logs", "p") == "one\ntwo\n"
    assert kubectl("logs", "-f", "p", "--tail=1") == "one\ntwo\n"
    assert shop.runtime.asked[-1] == ("p", "main", True, 1)


def test_get_follows_changes_as_lines(shop, kubectl):
    command = [KUBECTL, "get", "pods", "--watch"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=kubectl.environ) as watching:
        try:
            assert watching.stdout.readline().split() == ["NAME", "AGE"]
            assert watching.stdout.readline().split()[0] == "p"
            shop.call(shop.store.update, PODS, "shop", "p", lambda found: found["status"].update(phase="Failed"))
            assert watching.stdout.readline().split()[0] == "p"
        finally:
            watching.terminate()


def test_delete_waits_until_the_pod_has_gone(shop, kubectl):
    shop.call(shop.store.update, PODS, "shop", "p", lambda found: found["spec"].pop("nodeName"))
    assert 'pod "p" deleted' in kubectl("delete", "pod", "p", "--timeout=20s")
    assert shop.call(shop.store.find, PODS, "shop", "p") is None


@pytest.mark.parametrize("websockets", ["true", "false"])
def test_port_forward_carries_several_connections(kubectl, websockets):
    def shout(connection):
        with connection:
            connection.sendall(connection.recv(100).upper())

    environ = kubectl.environ | {"KUBECTL_PORT_FORWARD_WEBSOCKETS": websockets}
    with listening(shout) as port:
        command = [KUBECTL, "port-forward", "pod/p", f":{port}", "--address=127.0.0.1"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environ) as forward:
            try:
                local = int(re.search(r":(\d+) ->", forward.stdout.readline())[1])
                for text in (b"one", b"two"):
                    with socket.create_connection(("127.0.0.1", local), 20) as connection:
                        connection.sendall(text)
                        assert connection.recv(100) == text.upper()
                        assert connection.recv(100) == b""
            finally:
                forward.terminate()
