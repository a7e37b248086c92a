"""The client library's `ApiClient`, as one login: our TLS, our proxy, our headers, and an exception for each refusal.

REST and the carriers use the same `ApiEndpoint`, so that they can never differ in who they are and whom they trust. The
library's own way would leave keys in temporary files, drop impersonation and log a failing plugin instead of raising.
"""

from __future__ import annotations

import logging
import ssl
import warnings
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast

import urllib3
from kubernetes.client import ApiClient, ApiException, Configuration

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kubernetes.client.rest import RESTResponse

    from kttun.config import ApiEndpoint

POOL_SIZE = 10
"""Connections kept for the next call: as many as calls are ever made side by side."""
MAX_REFUSAL = 64 * 1024
"""Bytes of a refusal's body that are read."""

ONCE_MORE = urllib3.Retry(total=2, redirect=0, status=0, backoff_factor=0.2)
"""Connections that fail are tried again, and calls that may be repeated, but no answer is taken twice."""


class LoginClient(ApiClient):
    """An `ApiClient` whose `call_api` raises `ApiException` for every answer but 2xx; usable from several threads.

    `forget` is called when the API server refuses our credentials; if it gives true, new ones are tried once.
    """

    def __init__(self, endpoint: ApiEndpoint, server: str, forget: Callable[[], bool]) -> None:
        super().__init__(Configuration(host=server))
        logging.getLogger("urllib3").setLevel(logging.ERROR)  # it would tell the terminal of each retry
        self.user_agent = "kttun"
        pool = _SigningPool(_pool(endpoint), endpoint.headers, forget)
        self.rest_client.pool_manager = cast("urllib3.PoolManager", pool)

    def call_api(self, *request: Any, **options: Any) -> RESTResponse:
        """Send a request as `ApiClient.call_api` does; of the answer only the head was read."""
        response: RESTResponse = super().call_api(*request, **options)
        if HTTPStatus.OK <= response.status < HTTPStatus.MULTIPLE_CHOICES:
            return response
        body = response.response.read(MAX_REFUSAL).decode(errors="replace")
        response.response.close()
        error = ApiException(status=response.status, reason=response.reason)
        error.body = body
        raise error


class _SigningPool:
    """What the client library takes for a pool manager: each request gets the headers of its moment."""

    def __init__(
        self, pool: urllib3.PoolManager, headers: Callable[[], Mapping[str, str]], forget: Callable[[], bool]
    ) -> None:
        self._pool, self._headers, self._forget = pool, headers, forget

    def request(self, method: str, url: str, headers: Mapping[str, str], **more: Any) -> urllib3.BaseHTTPResponse:
        """Send it signed, and once more with new credentials if the API server refuses those we had."""
        response = self._pool.request(method, url, headers={**headers, **self._headers()}, **more)
        if response.status == HTTPStatus.UNAUTHORIZED and self._forget():
            response.close()
            response = self._pool.request(method, url, headers={**headers, **self._headers()}, **more)
        return response

    def clear(self) -> None:
        """Close the connections that nobody uses."""
        self._pool.clear()


def _pool(endpoint: ApiEndpoint) -> urllib3.PoolManager:
    options: dict[str, Any] = {"retries": ONCE_MORE, "maxsize": POOL_SIZE}
    if endpoint.tls is not None:
        options |= {"ssl_context": endpoint.tls, "server_hostname": endpoint.server_hostname}
        if endpoint.tls.verify_mode is ssl.CERT_NONE:
            warnings.simplefilter("ignore", urllib3.exceptions.InsecureRequestWarning)  # the user asked for it
    proxy = endpoint.proxy
    if proxy is None:
        return urllib3.PoolManager(**options)
    host = f"[{proxy.host}]" if ":" in proxy.host else proxy.host
    return urllib3.ProxyManager(
        f"{'https' if proxy.tls else 'http'}://{host}:{proxy.port}",
        proxy_headers={"Proxy-Authorization": proxy.authorization} if proxy.authorization else None,
        **options,
    )
