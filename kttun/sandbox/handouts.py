"""The files by which people reach the sandbox; `~/.kube` is never touched."""

from __future__ import annotations

import base64
import os
from typing import TYPE_CHECKING

import yaml
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from kttun.sandbox.bootstrap import DEV_PLACE
from kttun.sandbox.lifecycle import ADMIN, DEV, KUBECONFIGS
from kttun.sandbox.shape import API_PORT, RUN
from kttun.sandbox.users import MASTERS

if TYPE_CHECKING:
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

    from kttun.sandbox.pki import Authority
    from kttun.sandbox.settings import Settings

CLUSTER = "sandbox"
"""The name of the cluster and of each file's context."""
TOKEN_KEY = RUN / "service-accounts.key"


def write_admin(settings: Settings, authority: Authority) -> None:
    """Write the kubeconfig of somebody who may do everything, by client certificate."""
    certificate, key = (base64.b64encode(each).decode() for each in authority.user(ADMIN, [MASTERS]))
    credentials = {"client-certificate-data": certificate, "client-key-data": key}
    _write_kubeconfig(settings, authority, ADMIN, "default", credentials)


def write_developer(settings: Settings, authority: Authority, token: str) -> None:
    """Write the kubeconfig of `dev`, by token."""
    _write_kubeconfig(settings, authority, DEV, DEV_PLACE, {"token": token})


def write_token_key(key: EllipticCurvePrivateKey) -> None:
    """Write the key that signs tokens, for root: tests make tokens of their own with it."""
    _write(TOKEN_KEY, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def _write_kubeconfig(
    settings: Settings, authority: Authority, user: str, namespace: str, credentials: dict[str, str]
) -> None:
    server = f"https://{settings.shape.node}:{API_PORT}"
    cluster = {"server": server, "certificate-authority-data": base64.b64encode(authority.pem).decode()}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": CLUSTER, "cluster": cluster}],
        "users": [{"name": user, "user": credentials}],
        "contexts": [{"name": CLUSTER, "context": {"cluster": CLUSTER, "user": user, "namespace": namespace}}],
        "current-context": CLUSTER,
    }
    _write(KUBECONFIGS[user], yaml.safe_dump(document, sort_keys=False).encode())
    os.chown(KUBECONFIGS[user], settings.uid, settings.gid)


def _write(path: Path, content: bytes) -> None:
    path.touch(mode=0o600)
    path.write_bytes(content)
