"""Kubernetes objects as plain dictionaries, over the official client's connection.

The official client's `ApiClient` does what is hard (credentials that refresh, TLS, proxies); its generated models are
left out: they refuse values that a newer API server adds, and cost more than the requests. Nothing is mapped here:
`ApiException`, urllib3's and ssl's errors pass through, and callers wrap them with `kttun.cluster.errors.mapped`.
"""

from __future__ import annotations

import json
from contextlib import closing
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from kubernetes.client import ApiClient

    Body = Mapping[str, Any]

CONNECT_S = 5.0
READ_S = 15.0
PAGE = 500
"""Objects asked for in one list call (Kubernetes API concepts: "Retrieving large results sets in chunks")."""


class Rest:
    """One cluster's REST API; paths begin with /api or /apis. Methods give the decoded JSON object."""

    def __init__(self, api: ApiClient) -> None:
        self._api = api

    def get(self, path: str, **query: Any) -> dict[str, Any]:
        """Read one object, or one page of a list."""
        return self._object("GET", path, query)

    def items(self, path: str, **query: Any) -> Iterator[dict[str, Any]]:
        """Read a whole list, page by page."""
        token = ""
        while True:
            page = self.get(path, limit=PAGE, **({"continue": token} if token else {}), **query)
            yield from page.get("items") or ()
            token = (page.get("metadata") or {}).get("continue") or ""
            if not token:
                return

    def create(self, path: str, body: Body, **query: Any) -> dict[str, Any]:
        """Create an object in the collection at `path`."""
        return self._object("POST", path, query, body)

    def patch(self, path: str, body: Body) -> dict[str, Any]:
        """Change an object by a JSON merge patch (RFC 7386)."""
        return self._object("PATCH", path, {}, body, "application/merge-patch+json")

    def delete(self, path: str, body: Body) -> dict[str, Any]:
        """Delete an object; `body` is a DeleteOptions."""
        return self._object("DELETE", path, {}, body)

    def text(self, path: str, **query: Any) -> str:
        """Read something that is not JSON, such as a log."""
        with closing(self._request("GET", path, query, timeout=(CONNECT_S, READ_S))) as response:
            return str(response.data.decode("utf-8", errors="replace"))

    def lines(self, path: str, *, timeout_s: float, **query: Any) -> Iterator[str]:
        """Yield the lines of a followed log as they come; a pause of more than `timeout_s` ends in urllib3's error."""
        with closing(self._request("GET", path, query, timeout=(CONNECT_S, timeout_s))) as response:
            for line in _lines(response):
                yield line.decode("utf-8", errors="replace")

    def watch(self, path: str, *, timeout_s: float, **query: Any) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield (type, object) as changes come, beginning with ADDED for what is there; ends after `timeout_s`.

        Types are ADDED, MODIFIED, DELETED and ERROR (Kubernetes API concepts: "Efficient detection of changes").
        """
        query |= {"watch": "true", "timeoutSeconds": max(1, round(timeout_s))}
        with closing(self._request("GET", path, query, timeout=(CONNECT_S, timeout_s + READ_S))) as response:
            for line in _lines(response):
                event = json.loads(line)
                yield event["type"], event["object"]

    def _object(
        self, method: str, path: str, query: Mapping[str, Any], body: Body | None = None, kind: str = "application/json"
    ) -> dict[str, Any]:
        with closing(self._request(method, path, query, body, kind, timeout=(CONNECT_S, READ_S))) as response:
            found = json.loads(response.data)
        return found if isinstance(found, dict) else {}

    def _request(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any],
        body: Body | None = None,
        kind: str = "application/json",
        *,
        timeout: tuple[float, float],
    ) -> Any:
        request = self._api.param_serialize(
            method,
            path,
            query_params=list(query.items()),
            header_params={"Accept": "application/json", "Content-Type": kind},
            body=body,
            auth_settings=["BearerToken"],
        )
        return self._api.call_api(*request, _request_timeout=timeout).response


def _lines(response: Any) -> Iterator[bytes]:
    """Cut a streamed body at its line ends; the rest without one counts when the body is complete."""
    rest = b""
    for chunk in response.stream(amt=None):
        *whole, rest = (rest + chunk).split(b"\n")
        yield from (line for line in whole if line)
    if rest:
        yield rest
