"""Kubeconfig files for the sandbox's users; `~/.kube` is never touched."""

from __future__ import annotations

import base64
import os
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from pathlib import Path

CLUSTER = "sandbox"
"""The name of the cluster and of each file's context."""


def write(path: Path, user: str, *, server: str, authority: bytes, namespace: str, **credentials: Any) -> None:
    """Write one user's file; bytes among `credentials` (fields of a kubeconfig's user) are encoded."""
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {"name": CLUSTER, "cluster": {"server": server, "certificate-authority-data": _encoded(authority)}}
        ],
        "users": [{"name": user, "user": {key: _encoded(value) for key, value in credentials.items()}}],
        "contexts": [{"name": CLUSTER, "context": {"cluster": CLUSTER, "user": user, "namespace": namespace}}],
        "current-context": CLUSTER,
    }
    with open(path, "w", encoding="utf-8", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:  # noqa: PTH123
        yaml.safe_dump(document, file, sort_keys=False)


def _encoded(value: str | bytes) -> str:
    return value if isinstance(value, str) else base64.b64encode(value).decode()
