"""A login: one cluster, one user, one namespace, ready to call and to dial."""

from __future__ import annotations

import base64
import urllib.parse
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kttun.cluster.credentials import Credentials
from kttun.cluster.kubeconfig import Entry, choose
from kttun.cluster.proxies import bypassed
from kttun.cluster.tls import identify, trust
from kttun.config import ApiEndpoint, HttpProxy
from kttun.errors import EnvironmentFaultError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kubernetes.client import ApiClient

    from kttun.config import ClusterChoice

PORTS = {"https": 443, "http": 80}


@dataclass(frozen=True, slots=True)
class Login:
    """What one session needs of Kubernetes. `server` is the kubeconfig's URL; `user` the name of its entry."""

    context: str
    namespace: str
    server: str
    user: str
    endpoint: ApiEndpoint
    api: ApiClient
    """The client library's, for `rest.Rest`; its errors are mapped by `errors.mapped`."""


def log_in(choice: ClusterChoice, environ: Mapping[str, str]) -> Login:
    """Read the kubeconfig and make a login of it; nothing is sent and no plugin is run yet.

    `environ` is as `os.environ`: KUBECONFIG, HOME, PATH and the proxy variables count. Raises `EnvironmentFaultError`
    and `UsageError`, with the fault and the next step.
    """
    from kttun.cluster.client import LoginClient  # noqa: PLC0415  # imports the client library: 0.3 s

    chosen = choose(choice, environ)
    cluster, user = chosen.cluster, chosen.user
    server = str(cluster.body.get("server") or "").rstrip("/")
    url = _parse(server, f"server of cluster {cluster.name} in the kubeconfig", set(PORTS))
    host = url.hostname or ""
    tls = trust(cluster) if url.scheme == "https" else None
    if tls is not None:
        identify(tls, user)
    credentials = Credentials(user, cluster, tls, environ)
    endpoint = ApiEndpoint(
        host=host,
        port=url.port or PORTS[url.scheme],
        path_prefix=url.path.rstrip("/"),
        tls=tls,
        server_hostname=str(cluster.body.get("tls-server-name") or host),
        proxy=_proxy(cluster, url, environ),
        headers=credentials.headers,
    )
    api = LoginClient(endpoint, server, credentials.forget)
    return Login(chosen.context, chosen.namespace, server, user.name, endpoint, api)


def _parse(text: str, what: str, schemes: set[str]) -> urllib.parse.SplitResult:
    try:
        url = urllib.parse.urlsplit(text)
        port = url.port
    except ValueError as error:
        raise EnvironmentFaultError(f"{what} is not a URL: {_printable(text)}") from error
    if url.scheme not in schemes or not url.hostname or port == 0 or not text.isprintable() or " " in text:
        what_for = " or ".join(f"{scheme}://" for scheme in sorted(schemes, reverse=True))
        raise EnvironmentFaultError(
            f"{what} is not a URL of a server: {_printable(text) or 'it is empty'}", f"expected {what_for}..."
        )
    return url


def _printable(text: str) -> str:
    return text if text.isprintable() else repr(text)


def _proxy(cluster: Entry, server: urllib.parse.SplitResult, environ: Mapping[str, str]) -> HttpProxy | None:
    """Choose the proxy: the cluster's `proxy-url`, else the environment's, unless NO_PROXY names the server."""
    what = f"proxy-url of cluster {cluster.name} in the kubeconfig"
    text = str(cluster.body.get("proxy-url") or "")
    if not text:
        variable = next((v for v in _variables(server.scheme) if environ.get(v)), None)
        if variable is None or bypassed(server, environ.get("NO_PROXY") or environ.get("no_proxy") or ""):
            return None
        what, text = f"the variable {variable}", environ[variable]
        text = text if "://" in text else f"http://{text}"
    if text.startswith("socks"):
        raise EnvironmentFaultError(
            f"{what} names a SOCKS proxy, which kttun does not speak: {text}",
            "name an HTTP proxy, or make a forwarding by ssh -L and name that as server with tls-server-name",
        )
    url = _parse(text, what, set(PORTS))
    pair = f"{urllib.parse.unquote(url.username)}:{urllib.parse.unquote(url.password or '')}" if url.username else None
    return HttpProxy(
        host=url.hostname or "",
        port=url.port or PORTS[url.scheme],
        tls=url.scheme == "https",
        authorization=f"Basic {base64.b64encode(pair.encode()).decode()}" if pair else None,
    )


def _variables(scheme: str) -> tuple[str, str]:
    return f"{scheme.upper()}_PROXY", f"{scheme}_proxy"
