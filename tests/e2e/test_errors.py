"""What goes wrong outside kttun: one line and a hint, the contract's exit code, no traceback, nothing left behind."""

from __future__ import annotations

import base64
import re
from datetime import UTC, datetime, timedelta

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from .lab import LAB, add_user, kubeconfig, pods_do_not_forward, printed_roles, wait_until_gone
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


def other_authority():
    """Give the certificate of an authority that nobody knows (PEM)."""
    key, name = generate_private_key(SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "other")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().issuer_name(name).subject_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now).not_valid_after(now + timedelta(days=1))
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    return builder.sign(key, SHA256()).public_bytes(Encoding.PEM)


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
    assert kubeconfig("dev")["current-context"] in hint


def test_a_server_where_nobody_listens(dev, variant):
    server = f"{dev.router()}:1"
    message, _ = fails(dev, ENVIRONMENT, "feature-1", *variant({"server": f"https://{server}"}))
    assert server in message
    assert "Connection refused" in message


def test_a_server_whose_name_nobody_knows(dev, variant):
    message, _ = fails(dev, ENVIRONMENT, "feature-1", *variant({"server": "https://absent.lab.test:6443"}))
    assert "its name cannot be resolved" in message


def test_a_server_with_the_certificate_of_another_authority(dev, variant):
    other = base64.b64encode(other_authority()).decode()
    message, hint = fails(dev, ENVIRONMENT, "feature-1", *variant({"certificate-authority-data": other}))
    assert "certificate" in message
    assert "certificate-authority" in hint


@pytest.mark.parametrize("kind", ["garbage", "expired"])
def test_a_token_that_is_not_accepted(dev, variant, kind):
    good = LAB.admin.token("dev", "feature-1")
    token = "garbage" if kind == "garbage" else LAB.provider.expired(good)
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
    LAB.admin.apply(QUOTA)
    try:
        message, hint = fails(admin, ENVIRONMENT, "full")
        assert "exceeded quota: no-pods" in message
        assert "quota" in hint
        wait_until_gone("full", "full")
    finally:
        LAB.admin.delete("namespaces", None, "full")


def test_a_pod_that_no_node_takes(dev):
    words = ("--session", "homeless", "--node-selector", "disk=golden", "--gateway-timeout", "3s")
    message, _ = fails(dev, ENVIRONMENT, "feature-1", *words)
    assert "didn't match Pod's node affinity/selector" in message
    wait_until_gone("feature-1", "homeless")


def test_a_pod_that_does_not_forward(dev):
    with pods_do_not_forward():
        message, _ = fails(dev, ENVIRONMENT, "feature-1", "--session", "still")
    assert "ip_forward is 0" in message
    wait_until_gone("feature-1", "still")


def test_a_user_without_root(dev):
    done = dev.kttun("up", "feature-1")
    assert done.returncode == ENVIRONMENT
    what, hint = done.stderr.splitlines()[:2]
    assert what == "kttun: root is needed to make a network device and routes"
    assert re.fullmatch(r"hint: sudo /\S+/kttun up feature-1", hint)
