"""Foreign errors, turned into kttun's at the border: what the API server refused, and what kept us from reaching it.

Sources of the texts that are read here: `Status` of meta/v1, and the authorizer's message in `k8s.io/apiserver`
(`User "U" cannot VERB resource "R" in API group "G" in the namespace "N"`).
"""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import socket
import ssl
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from kttun.errors import EnvironmentFaultError

if TYPE_CHECKING:
    from collections.abc import Iterator

RBAC_HINT = "an administrator of the namespace can apply what this prints: kttun rbac --user NAME"

_DENIED = re.compile(
    r'User "(?P<user>[^"]*)" cannot (?P<verb>\w+) resource "(?P<resource>[^"]*)"'
    r'(?: in API group "(?P<group>[^"]*)")?(?: in the namespace "(?P<namespace>[^"]*)")?'
)


class ApiError(EnvironmentFaultError):
    """The API server answered, and said no.

    `status` is the HTTP status, `reason` that of the Status object ("Forbidden", "NotFound") or empty, `said` its
    message.
    """

    def __init__(self, message: str, *hints: str, status: int, reason: str, said: str) -> None:
        super().__init__(message, *hints)
        self.status = status
        self.reason = reason
        self.said = said


class UnauthorizedError(EnvironmentFaultError):
    """The API server does not know us (401): no other call will fare better."""


class UnreachableError(EnvironmentFaultError):
    """No answer came from the API server; the same call may work later."""


@contextlib.contextmanager
def mapped(doing: str, *, verb: str = "", resource: str = "", namespace: str | None = None) -> Iterator[None]:
    """Run calls to the API server; whatever they raise leaves as one of the three errors above, or their parent.

    `doing` is a phrase such as "create the gateway"; `verb`, `resource` (`jobs.batch`) and `namespace` name the right
    that it takes. Errors of kttun itself pass as they are.
    """
    from kubernetes.client import ApiException  # noqa: PLC0415  # heavy: whoever gets here has made a client
    from urllib3.exceptions import HTTPError  # noqa: PLC0415

    try:
        yield
    except ApiException as error:
        if not error.status:  # the library's way of passing on an SSLError of urllib3
            raise _unreachable(error, doing) from error
        if error.status == HTTPStatus.UNAUTHORIZED:
            raise UnauthorizedError(
                f"cannot {doing}: the API server does not accept the credentials of the kubeconfig",
                "log in again: the token or certificate may have expired",
            ) from error
        needed = f"{verb} {resource}{_where(namespace)}" if verb and resource else ""
        raise _refusal(error.status, str(error.body or ""), doing, needed) from error
    except (HTTPError, http.client.HTTPException, OSError) as error:
        raise _unreachable(error, doing) from error
    except json.JSONDecodeError as error:
        raise UnreachableError(f"cannot {doing}: the API server answered something that is no JSON") from error


def _refusal(status: int, body: str, doing: str, needed: str) -> ApiError:
    details = _status(body)
    text = details.get("message") or details.get("reason") if details else body[:200]
    said = " ".join(str(text or f"status {status}").split())
    message, hints = _words(status, said, doing, needed)
    return ApiError(message, *hints, status=status, reason=str(details.get("reason") or ""), said=said)


def _words(status: int, said: str, doing: str, needed: str) -> tuple[str, tuple[str, ...]]:
    if denied := _DENIED.search(said):
        resource = denied["resource"] + (f".{denied['group']}" if denied["group"] else "")
        right = f"{denied['verb']} {resource}{_where(denied['namespace'])}"
        return f"cannot {doing}: {denied['user']} may not {right}", (RBAC_HINT,)
    if "is being terminated" in said:
        return f"cannot {doing}: the namespace is being deleted", ()
    hints: tuple[str, ...] = ()
    if status == HTTPStatus.FORBIDDEN and needed:  # quota, a webhook, or an authorizer with words of its own
        hints = (f"it needs the right to {needed}",)
    elif status == HTTPStatus.NOT_FOUND and said.startswith("namespaces "):
        hints = ("kubectl get namespaces lists them, if you may",)
    elif status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        said, hints = f"the API server has trouble: {said}", ("try again in a moment",)
    return f"cannot {doing}: {said}", hints


def _where(namespace: str | None) -> str:
    return f" in namespace {namespace}" if namespace else " in the whole cluster"


def _status(body: str) -> dict[str, Any]:
    try:
        status = json.loads(body)
    except ValueError:
        return {}
    return status if isinstance(status, dict) and status.get("kind") == "Status" else {}


def _unreachable(error: Exception, doing: str) -> EnvironmentFaultError:
    """Put the deepest cause that is known into words."""
    chain = _causes(error)
    pools = (vars(link).get("pool") for link in chain)
    server = next((f"API server {pool.host}:{pool.port}" for pool in pools if pool), "the API server")
    for cause in chain:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return EnvironmentFaultError(
                f"cannot {doing}: certificate of {server} was not accepted: {cause.verify_message}",
                "check certificate-authority and tls-server-name of the cluster in the kubeconfig",
            )
    words = next(filter(None, map(_network_words, chain)), None) or str(error).splitlines()[0]
    via = " by way of its proxy" if any(type(link).__name__ == "ProxyError" for link in chain) else ""
    hint = "is the cluster running, and does it take a VPN to reach it?"
    return UnreachableError(f"cannot {doing}: {server} cannot be reached{via}: {words}", hint)


def _network_words(cause: BaseException) -> str | None:
    if isinstance(cause, socket.gaierror) or type(cause).__name__ == "NameResolutionError":
        return "its name cannot be resolved"
    if isinstance(cause, TimeoutError) or type(cause).__name__ in {"ConnectTimeoutError", "ReadTimeoutError"}:
        return "no answer in time"
    if isinstance(cause, ssl.SSLError):
        return f"TLS failed: {getattr(cause, 'reason', None) or cause}"
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror
    if isinstance(cause, OSError) and str(cause).startswith("Tunnel connection failed"):
        return str(cause)
    return None


def _causes(error: BaseException) -> list[Any]:
    """Walk what urllib3 wraps, deepest first: MaxRetryError has `reason`, others a cause, arguments or an original."""
    seen: list[Any] = []
    waiting: list[object] = [error]
    while waiting:
        link = waiting.pop(0)
        if isinstance(link, BaseException) and link not in seen:
            seen.append(link)
            wrapped = (getattr(link, "reason", None), getattr(link, "original_error", None))
            waiting += [*wrapped, link.__cause__, link.__context__, *link.args]
    return seen[::-1]
