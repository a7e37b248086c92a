"""The gateway's Job as a value: everything that decides how it is admitted, scheduled and cleaned up.

A Job, and not a bare pod, since the control plane removes a finished Job (`ttlSecondsAfterFinished`, batch/v1)
with all that it owns, and ends one that was forgotten (`activeDeadlineSeconds`).
"""

from __future__ import annotations

import getpass
import os
import re
import secrets
import socket
from typing import TYPE_CHECKING, Any

from kttun import __version__
from kttun.rendezvous import ENVIRONMENT_NAME

if TYPE_CHECKING:
    from kttun.config import GatewayChoice
    from kttun.rendezvous import GatewaySettings

APP = "kttun-gateway"
SESSION_LABEL = "kttun.dev/session"
CONTAINER = "gateway"

STARTING_MARGIN_S = 30
"""How much longer than `--gateway-timeout` a Job may live whose laptop died before the tunnel opened."""
TTL_S = 5
"""How long a finished Job stays, seconds; its log is read by then if anybody reads it."""

NAME_PART = 40
"""Characters of the session's name in the Job's, so that the pod's begins with the Job's whole name: the API server
cuts a `generateName` at 58 (apiserver/pkg/storage/names), and the pod's is the Job's name, 6 characters longer."""

_SUFFIX_SIZE = 5
_SUFFIX_OF = "bcdfghjklmnpqrstvwxz2456789"
"""What the API server itself takes for a `generateName`: no vowels, so no words (apimachinery/pkg/util/rand)."""

_NOT_IN_NAME = re.compile(r"[^a-z0-9]+")
_NOT_IN_LABEL = re.compile(r"[^A-Za-z0-9_.-]+")


def job_name(session: str) -> str:
    """Make up a name for the session's Job, an RFC 1123 label with a random end, 14 million of them a session.

    Ours and not the API server's (`generateName`): so it is known before the request that makes the Job leaves.
    """
    stem = _NOT_IN_NAME.sub("-", f"kttun-{session[:NAME_PART].lower()}").strip("-")
    return f"{stem}-{''.join(secrets.choice(_SUFFIX_OF) for _ in range(_SUFFIX_SIZE))}"


def gateway_job(name: str, session: str, choice: GatewayChoice, settings: GatewaySettings) -> dict[str, Any]:
    """Give the manifest of the session's Job of this name."""
    labels = {
        "app.kubernetes.io/name": APP,
        "app.kubernetes.io/managed-by": "kttun",
        "app.kubernetes.io/version": _label(__version__),
        SESSION_LABEL: _label(session),
        # A mesh's side car would take the gateway's traffic for its own.
        "sidecar.istio.io/inject": "false",
        "kuma.io/sidecar-injection": "disabled",
    }
    annotations = {
        "kttun.dev/user": f"{_user()}@{socket.gethostname()}",
        "sidecar.istio.io/inject": "false",
        "linkerd.io/inject": "disabled",
        # A gateway that is moved away from its node takes the session's flows with it.
        "cluster-autoscaler.kubernetes.io/safe-to-evict": "false",
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "labels": labels, "annotations": annotations},
        "spec": {
            "backoffLimit": 0,
            "ttlSecondsAfterFinished": TTL_S,
            "activeDeadlineSeconds": round(choice.timeout_s) + STARTING_MARGIN_S,
            "template": {
                "metadata": {"labels": labels, "annotations": annotations},
                "spec": _pod(choice, settings),
            },
        },
    }


def _pod(choice: GatewayChoice, settings: GatewaySettings) -> dict[str, Any]:
    pod: dict[str, Any] = {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 1,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "containers": [_container(choice, settings)],
    }
    if choice.image_pull_secret:
        pod["imagePullSecrets"] = [{"name": choice.image_pull_secret}]
    if choice.service_account:
        pod["serviceAccountName"] = choice.service_account
    if choice.node_selector:
        pod["nodeSelector"] = dict(choice.node_selector)
    return pod


def _container(choice: GatewayChoice, settings: GatewaySettings) -> dict[str, Any]:
    return {
        "name": CONTAINER,
        "image": choice.image,
        "env": [{"name": ENVIRONMENT_NAME, "value": settings.to_json()}],
        "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "256Mi"}},
        "securityContext": {
            "runAsUser": 0,
            "allowPrivilegeEscalation": False,
            # NET_ADMIN for the TUN, its routes and nftables; MKNOD since runtimes leave /dev/net/tun out.
            "capabilities": {"drop": ["ALL"], "add": ["NET_ADMIN", "MKNOD"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user whom no directory knows, in a container: KeyError until Python 3.12
        return str(os.getuid())


def _label(text: str) -> str:
    """Make text fit a label's value: at most 63 of letters, digits, dot, dash and underscore, no dash at the ends."""
    return _NOT_IN_LABEL.sub("-", text)[:63].strip("-_.")
