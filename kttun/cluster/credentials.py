"""Who we are to the API server: a bearer token from wherever it comes, basic authentication, and impersonation.

Order, as in client-go: token file, token, user name and password, `exec`, and last the `auth-provider` of old files.
The headers are made anew for each request and connection; what a plugin gave is kept until it expires or the API server
refuses it (`forget`).
"""

from __future__ import annotations

import base64
import datetime as dt
import itertools
import threading
from typing import TYPE_CHECKING, Any

from kttun.cluster.plugin import ExecCredential, run_plugin
from kttun.cluster.tls import content, load_identity
from kttun.errors import EnvironmentFaultError

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping

    from kttun.cluster.kubeconfig import Entry

HEADER_NAME = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$&'*+-.^_`|~")
"""Characters that stand for themselves in the key of an Impersonate-Extra header (RFC 9110 token without %)."""


class Credentials:
    """The headers that say who we are. Usable from several threads; `headers` may run a plugin and so may block."""

    def __init__(self, user: Entry, cluster: Entry, context: ssl.SSLContext | None, environ: Mapping[str, str]) -> None:
        self._user, self._cluster, self._context, self._environ = user, cluster, context, environ
        self._impersonation = _impersonation(user.body)
        self._lock = threading.Lock()
        self._kept: ExecCredential | None = None

    def headers(self) -> Mapping[str, str]:
        """Give `Authorization`, if there is one, and the impersonation headers. Raises `EnvironmentFaultError`."""
        value = self._authorization()
        return ({"Authorization": value} if value else {}) | self._impersonation

    def forget(self) -> bool:
        """Forget what a plugin gave, for the API server refuses it; whether that may bring something new."""
        with self._lock:
            self._kept = None
        return bool(self._user.body.get("exec") or self._user.body.get("tokenFile"))

    def _authorization(self) -> str | None:
        body = self._user.body
        if body.get("tokenFile"):
            return f"Bearer {_header_value((content(self._user, 'tokenFile') or b'').decode('latin-1'), 'tokenFile')}"
        if body.get("token"):
            return f"Bearer {_header_value(str(body['token']), 'token')}"
        if body.get("username"):
            pair = f"{body['username']}:{body.get('password', '')}"
            return f"Basic {base64.b64encode(pair.encode()).decode()}"
        if body.get("exec"):
            token = self._from_plugin().token
            return f"Bearer {_header_value(token, 'token of the plugin')}" if token else None
        if body.get("auth-provider"):
            return self._from_auth_provider()
        return None

    def _from_plugin(self) -> ExecCredential:
        with self._lock:  # one plugin at a time: it may be asking the user something
            if self._kept is None or not self._kept.fresh(dt.datetime.now(dt.UTC)):
                self._kept = run_plugin(self._user, self._cluster, self._environ)
                if self._kept.certificate and self._kept.key and self._context:
                    whose = f"the credential plugin of user {self._user.name}"
                    load_identity(self._context, self._kept.certificate, self._kept.key, whose)
            return self._kept

    def _from_auth_provider(self) -> str | None:
        """Let the client library serve gcp and oidc, which kubectl has dropped or is about to."""
        from kubernetes.client import Configuration  # noqa: PLC0415  # heavy, and rarely needed
        from kubernetes.config import load_kube_config_from_dict  # noqa: PLC0415

        document: dict[str, Any] = {
            "current-context": "it",
            "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
            "clusters": [{"name": "it", "cluster": {}}],  # no server, so the library writes no certificate to a file
            "users": [{"name": "it", "user": dict(self._user.body)}],
        }
        with self._lock:
            filled = Configuration()
            try:
                load_kube_config_from_dict(  # type: ignore[no-untyped-call]  # the library is typed in part
                    document, client_configuration=filled, persist_config=False
                )
            except Exception as error:  # whatever the library and the provider behind it may raise
                raise EnvironmentFaultError(
                    f"auth-provider of user {self._user.name} gave no token: {error}".splitlines()[0],
                    "auth-provider is obsolete: use a credential plugin (exec)",
                ) from error
        token = filled.api_key.get("BearerToken")
        return str(token) if token else None


def _header_value(text: str, what: str) -> str:
    text = text.strip()
    if not text.isascii() or not text.isprintable():
        raise EnvironmentFaultError(f"the {what} of the kubeconfig's user cannot stand in an HTTP header")
    return text


def _impersonation(body: Mapping[str, Any]) -> dict[str, str]:
    """Make the Impersonate headers (kubernetes.io, "User impersonation") of `as` and its kin.

    A header that repeats is told apart by its capitals: names are the same whatever their case (RFC 9110 section 5.1).
    """
    headers: dict[str, str] = {}
    if body.get("as"):
        headers["Impersonate-User"] = _header_value(str(body["as"]), "as")
    if body.get("as-uid"):
        headers["Impersonate-Uid"] = _header_value(str(body["as-uid"]), "as-uid")
    _repeat(headers, "Impersonate-Group", body.get("as-groups") or [])
    for key, values in (body.get("as-user-extra") or {}).items():
        escaped = "".join(c if c in HEADER_NAME else "".join(f"%{b:02X}" for b in c.encode()) for c in str(key))
        _repeat(headers, f"Impersonate-Extra-{escaped}", values if isinstance(values, list) else [values])
    if headers and "Impersonate-User" not in headers:
        raise EnvironmentFaultError("the kubeconfig's user has as-groups, as-uid or as-user-extra, but no as")
    return headers


def _repeat(headers: dict[str, str], name: str, values: list[Any]) -> None:
    spellings = itertools.product(*((c, c.swapcase()) if c.isalpha() else (c,) for c in name))
    unused = (spelling for letters in spellings if (spelling := "".join(letters)) not in headers)
    for value, spelling in zip(values, unused, strict=False):
        headers[spelling] = _header_value(str(value), name)
