"""What goes wrong outside kttun: one line and a hint, the contract's exit code, no traceback, nothing left behind."""

from __future__ import annotations

import base64
import json
import re
import time

import pytest
import yaml
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from .lab import RUN, add_user, kubectl, printed_roles, wait_until_gone
from .laptop import Laptop, snapshot

pytestmark = pytest.mark.cluster

ENVIRONMENT, USAGE = 1, 2
ABSENT_IMAGE = "127.0.0.1:1/absent:1"  # a registry where nobody listens, so it fails at once
QUOTA = """
apiVersion: v1
kind: Namespace
metadata: {name: full, labels: {pod-security.kubernetes.io/enforce: privileged}}
---
apiVersion: v1
kind: ResourceQuota
metadata: {name: no-pods, namespace: full}
spec: {hard: {pods: "0"}}
"""


@pytest.fixture(autouse=True)
def _nothing_left(dev):
    before = snapshot()
    yield
    assert snapshot() == before


def fails(laptop, code, *words):
    """Run `up`, which must fail as promised; give the one line and the hints."""
    done = laptop.kttun("up", *words, sudo=True)
    told = [line for line in done.stderr.splitlines() if not re.match(r"[+x] ", line)]
    errors = [line.removeprefix("kttun: ") for line in told if line.startswith("kttun: ")]
    hints = [line.removeprefix("hint: ") for line in told if line.startswith("hint: ")]
    assert done.returncode == code, done.stderr
    assert len(errors) == 1, done.stderr
    assert hints, done.stderr
    assert not errors[0].endswith("."), errors
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    return errors[0], " | ".join(hints)


@pytest.fixture
def variant(dev):
    """Write a kubeconfig that differs from the user's own; give the words that name it."""

    def write(cluster=None, user=None):
        config = yaml.safe_load(dev.output("cat", "/home/dev/.kube/config"))
        config["clusters"][0]["cluster"].update(cluster or {})
        config["users"][0]["user"].update(user or {})
        return "--kubeconfig", dev.write("/home/dev/variant.yaml", yaml.safe_dump(config))

    return write


def expired_token():
    """Give a token of `dev` that was good until an hour ago, signed by the cluster's own key."""
    head, claims, _ = kubectl("create", "token", "dev", "-n", "feature-1").strip().split(".")
    content = json.loads(base64.urlsafe_b64decode(f"{claims}=="))
    content |= {"iat": time.time() - 7200, "nbf": time.time() - 7200, "exp": time.time() - 3600}
    signed = f"{head}.{encoded(json.dumps(content).encode())}"
    key = load_pem_private_key((RUN / "pki" / "service-accounts.key").read_bytes(), None)
    # RFC 7518 section 3.4: both numbers of the signature, 32 bytes each.
    numbers = decode_dss_signature(key.sign(signed.encode(), ECDSA(hashes.SHA256())))
    return f"{signed}.{encoded(b''.join(number.to_bytes(32) for number in numbers))}"


def encoded(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@pytest.fixture
def _pods_do_not_forward():
    """Let new pods have net.ipv4.ip_forward = 0, as Calico's do."""
    network = RUN / "config" / "cni" / "10-lab.conflist"
    usual = network.read_text()
    network.write_text(usual.replace('"net.ipv4.ip_forward": "1"', '"net.ipv4.ip_forward": "0"'))
    yield
    network.write_text(usual)


def test_a_kubeconfig_that_does_not_exist(dev):
    message, _ = fails(dev, ENVIRONMENT, "feature-1", "--kubeconfig", "/home/dev/absent")
    assert message == "kubeconfig /home/dev/absent cannot be read: No such file or directory"


def test_a_kubeconfig_that_is_something_else(dev):
    path = dev.write("/home/dev/notes.txt", "buy milk\n")
    done = dev.kttun("up", "feature-1", "--kubeconfig", path, sudo=True)
    assert done.returncode == ENVIRONMENT
    assert f"kttun: kubeconfig {path} is not a kubeconfig" in done.stderr


def test_a_context_that_the_kubeconfig_does_not_have(dev):
    message, hint = fails(dev, USAGE, "feature-1", "--context", "nowhere")
    assert "no context nowhere" in message
    assert "lab" in hint


def test_a_server_where_nobody_listens(dev, variant):
    server = f"{dev.router()}:1"
    message, _ = fails(dev, ENVIRONMENT, "feature-1", *variant({"server": f"https://{server}"}))
    assert server in message
    assert "Connection refused" in message


def test_a_server_whose_name_nobody_knows(dev, variant):
    message, _ = fails(dev, ENVIRONMENT, "feature-1", *variant({"server": "https://absent.lab.test:6443"}))
    assert "its name cannot be resolved" in message


def test_a_server_with_the_certificate_of_another_authority(dev, variant):
    other = base64.b64encode((RUN / "pki" / "front-proxy.crt").read_bytes()).decode()
    message, hint = fails(dev, ENVIRONMENT, "feature-1", *variant({"certificate-authority-data": other}))
    assert "certificate" in message
    assert "certificate-authority" in hint


@pytest.mark.parametrize("kind", ["garbage", "expired"])
def test_a_token_that_is_not_accepted(dev, variant, kind):
    token = "garbage" if kind == "garbage" else expired_token()
    message, hint = fails(dev, ENVIRONMENT, "feature-1", *variant(user={"token": token}))
    assert "does not accept the credentials" in message
    assert "expired" in hint


def test_a_namespace_that_does_not_exist(admin):
    message, _ = fails(admin, ENVIRONMENT, "absent")
    assert 'namespaces "absent" not found' in message


def test_a_namespace_in_which_one_has_no_rights(dev):
    message, hint = fails(dev, ENVIRONMENT, "feature-2")
    assert "missing rights in namespace feature-2" in message
    assert "create jobs" in message
    assert "kttun rbac" in hint


def test_one_right_that_is_missing_is_named():
    documents = list(yaml.safe_load_all(printed_roles("weak", "feature-1")))
    rules = documents[0]["rules"]
    documents[0]["rules"] = [rule for rule in rules if rule["resources"] != ["pods/portforward"]]
    for document in documents:
        document["metadata"]["name"] = "weak"
    documents[1]["roleRef"]["name"] = "weak"
    add_user("weak", "feature-1", yaml.safe_dump_all(documents))
    message, hint = fails(Laptop("weak"), ENVIRONMENT, "feature-1")
    assert message.endswith("get pods/portforward, create pods/portforward")
    assert "kttun rbac" in hint


def test_an_image_that_cannot_be_pulled(dev):
    message, hint = fails(dev, ENVIRONMENT, "feature-1", "--session", "image", "--image", ABSENT_IMAGE)
    assert ABSENT_IMAGE in message
    assert "--image" in hint
    wait_until_gone("feature-1", "image")


def test_an_image_that_is_no_gateway(dev):
    words = ("--session", "no-gateway", "--image", "kttun.test/pause:1", "--gateway-timeout", "5s")
    message, hint = fails(dev, ENVIRONMENT, "feature-1", *words)
    assert message
    assert "--image" in hint
    wait_until_gone("feature-1", "no-gateway")


def test_a_namespace_whose_pod_security_refuses_the_gateway(admin):
    message, hint = fails(admin, ENVIRONMENT, "baseline-1")
    assert "violates PodSecurity" in message
    assert "NET_ADMIN" in message
    assert "privileged" in hint
    wait_until_gone("baseline-1", "baseline-1")


def test_a_namespace_whose_quota_is_used_up(admin):
    kubectl("apply", "-f", "-", stdin=QUOTA)
    try:
        message, hint = fails(admin, ENVIRONMENT, "full")
        assert "exceeded quota: no-pods" in message
        assert "quota" in hint
        wait_until_gone("full", "full")
    finally:
        kubectl("delete", "namespace", "full", "--wait=false")


def test_a_pod_that_no_node_takes(dev):
    words = ("--session", "homeless", "--node-selector", "disk=golden", "--gateway-timeout", "3s")
    message, _ = fails(dev, ENVIRONMENT, "feature-1", *words)
    assert "didn't match Pod's node affinity/selector" in message
    wait_until_gone("feature-1", "homeless")


@pytest.mark.usefixtures("_pods_do_not_forward")
def test_a_pod_that_does_not_forward(dev):
    message, _ = fails(dev, ENVIRONMENT, "feature-1", "--session", "still")
    assert "ip_forward is 0" in message
    wait_until_gone("feature-1", "still")


def test_a_user_without_root(dev):
    done = dev.kttun("up", "feature-1")
    assert done.returncode == ENVIRONMENT
    what, hint = done.stderr.splitlines()[:2]
    assert what == "kttun: root is needed to make a network device and routes"
    assert re.fullmatch(r"hint: sudo /\S+/kttun up feature-1", hint)
