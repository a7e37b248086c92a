"""Credential plugins: the programs that a kubeconfig's `exec` names, and the ExecCredential that they print.

Source: Kubernetes API client.authentication.k8s.io v1 and v1beta1, and kubernetes.io "client-go credential plugins".
"""

from __future__ import annotations

import datetime as dt
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kttun.errors import EnvironmentFaultError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kttun.cluster.kubeconfig import Entry

PATIENCE_S = 300.0
"""How long a plugin may take: a login in a browser is among the things it may do."""

API_GROUP = "client.authentication.k8s.io/"


@dataclass(frozen=True, slots=True)
class ExecCredential:
    """What a plugin gave: a token, or a certificate with its key (PEM), or both; and until when they hold."""

    token: str | None
    certificate: bytes | None
    key: bytes | None
    expires: dt.datetime | None

    def fresh(self, now: dt.datetime) -> bool:
        """Whether it still holds at `now` (aware), with a margin for clocks that differ."""
        return self.expires is None or now + dt.timedelta(seconds=30) < self.expires


def run_plugin(
    user: Entry, cluster: Entry, environ: Mapping[str, str], patience_s: float = PATIENCE_S
) -> ExecCredential:
    """Run the plugin of `user` and read its answer; it may talk to the user on the terminal.

    Raises `EnvironmentFaultError`.
    """
    config = user.body["exec"]
    if not isinstance(config, dict) or not config.get("command"):
        raise EnvironmentFaultError(f"exec of user {user.name} in the kubeconfig names no command")
    command = _resolve(str(config["command"]), user, environ)
    what = f"credential plugin {config['command']} of user {user.name}"
    interactive = config.get("interactiveMode") != "Never" and sys.stdin is not None and sys.stdin.isatty()
    try:
        done = subprocess.run(
            [command, *map(str, config.get("args") or [])],
            env=_environment(config, cluster, environ, interactive=interactive),
            stdin=None if interactive else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=None if interactive else subprocess.PIPE,
            timeout=patience_s,
            check=False,
        )
    except FileNotFoundError as error:
        hints = [line.strip() for line in str(config.get("installHint") or "").splitlines() if line.strip()]
        hint = hints[0] if hints else "install it, or correct the kubeconfig"
        raise EnvironmentFaultError(f"{what} is not installed", hint) from error
    except subprocess.TimeoutExpired as error:
        raise EnvironmentFaultError(f"{what} gave no answer within {patience_s:g} s", _by_hand(config)) from error
    except OSError as error:
        raise EnvironmentFaultError(f"{what} cannot be run: {os.strerror(error.errno or 0)}") from error
    if done.returncode:
        said = [line for line in (done.stderr or b"").decode(errors="replace").splitlines() if line.strip()]
        reason = f"ended with code {done.returncode}" + (f": {said[-1].strip()}" if said else "")
        raise EnvironmentFaultError(f"{what} {reason}", _by_hand(config))
    return _read(done.stdout, str(config.get("apiVersion", "")), what)


def _resolve(command: str, user: Entry, environ: Mapping[str, str]) -> str:
    """Find the program: a bare name by PATH, one with a slash from the kubeconfig's folder."""
    if os.sep in command:
        return str(user.folder / command)
    return shutil.which(command, path=environ.get("PATH")) or command


def _by_hand(config: Mapping[str, Any]) -> str:
    words = " ".join([str(config["command"]), *map(str, config.get("args") or [])])
    return f"see what it says by hand: {words}"


def _environment(
    config: Mapping[str, Any], cluster: Entry, environ: Mapping[str, str], *, interactive: bool
) -> dict[str, str]:
    spec: dict[str, Any] = {"interactive": interactive}
    if config.get("provideClusterInfo"):
        passed = {
            key: value for key, value in cluster.body.items() if key not in {"certificate-authority", "extensions"}
        }
        for extension in cluster.body.get("extensions") or []:
            if extension.get("name") == "client.authentication.k8s.io/exec":
                passed["config"] = extension.get("extension")
        spec["cluster"] = passed
    info = {"apiVersion": config.get("apiVersion"), "kind": "ExecCredential", "spec": spec}
    extra = {str(pair["name"]): str(pair["value"]) for pair in config.get("env") or []}
    return {**environ, **extra, "KUBERNETES_EXEC_INFO": json.dumps(info, default=str)}


def _read(output: bytes, version: str, what: str) -> ExecCredential:
    try:
        answer = json.loads(output)
        status = answer["status"]
        token, certificate, key = (status.get(name) for name in ("token", "clientCertificateData", "clientKeyData"))
        expires = status.get("expirationTimestamp")
        until = dt.datetime.fromisoformat(expires) if expires else None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise EnvironmentFaultError(f"{what} did not print an ExecCredential with a status") from error
    if answer.get("apiVersion") != version:
        raise EnvironmentFaultError(f"{what} answered as {answer.get('apiVersion')}, the kubeconfig asks for {version}")
    if not all(each is None or isinstance(each, str) for each in (token, certificate, key)):
        raise EnvironmentFaultError(f"{what} printed a token or a certificate that is not a text")
    if not token and not (certificate and key):
        raise EnvironmentFaultError(f"{what} printed neither a token nor a certificate with its key")
    return ExecCredential(
        token=token,
        certificate=certificate.encode() if certificate else None,
        key=key.encode() if key else None,
        expires=until.replace(tzinfo=until.tzinfo or dt.UTC) if until else None,
    )
