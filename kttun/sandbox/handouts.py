"""The files by which people reach the sandbox; `~/.kube` is never touched."""

from __future__ import annotations

import base64
import os
from typing import TYPE_CHECKING, Any

import yaml
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from kttun.sandbox.bootstrap import DEV_PLACE
from kttun.sandbox.kinds import SERVICE_ACCOUNTS
from kttun.sandbox.lifecycle import ADMIN, DEV, KUBECONFIGS
from kttun.sandbox.shape import API_PORT, RUN
from kttun.sandbox.users import MASTERS

if TYPE_CHECKING:
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

    from kttun.sandbox.pki import Authority
    from kttun.sandbox.settings import Settings
    from kttun.sandbox.store import Store
    from kttun.sandbox.users import Authenticator

CLUSTER = "sandbox"
"""The name of the cluster and of each file's context."""
TOKEN_S = 365 * 86400
"""How long the token of `dev` is good: longer than any sandbox lives."""
TOKEN_KEY = RUN / "service-accounts.key"


class Handouts:
    """Writes what users need: each file for its owner only."""

    def __init__(self, settings: Settings, authority: Authority) -> None:
        self._settings = settings
        self._authority = authority

    def write_admin(self) -> None:
        """Write the kubeconfig of somebody who may do everything, by client certificate."""
        certificate, key = self._authority.user(ADMIN, [MASTERS])
        self._write_kubeconfig(
            ADMIN, "default", {"client-certificate-data": _encoded(certificate), "client-key-data": _encoded(key)}
        )

    def write_developer(self, store: Store, authenticator: Authenticator) -> None:
        """Write the kubeconfig of `dev`, by token, if there is such an account."""
        account = store.find(SERVICE_ACCOUNTS, DEV_PLACE, DEV)
        if account is not None:
            self._write_kubeconfig(DEV, DEV_PLACE, {"token": authenticator.token(account, TOKEN_S)})

    def write_token_key(self, key: EllipticCurvePrivateKey) -> None:
        """Write the key that signs tokens, for root: tests make tokens of their own with it."""
        _write(TOKEN_KEY, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))

    def _write_kubeconfig(self, user: str, namespace: str, credentials: dict[str, str]) -> None:
        server = f"https://{self._settings.shape.node}:{API_PORT}"
        cluster = {"server": server, "certificate-authority-data": _encoded(self._authority.pem)}
        document: dict[str, Any] = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": CLUSTER, "cluster": cluster}],
            "users": [{"name": user, "user": credentials}],
            "contexts": [{"name": CLUSTER, "context": {"cluster": CLUSTER, "user": user, "namespace": namespace}}],
            "current-context": CLUSTER,
        }
        path = KUBECONFIGS[user]
        _write(path, yaml.safe_dump(document, sort_keys=False).encode())
        os.chown(path, self._settings.uid, self._settings.gid)


def _write(path: Path, content: bytes) -> None:
    path.touch(mode=0o600)
    path.write_bytes(content)


def _encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()
