"""Opening a lane: one port-forward request to the API server, upgraded to SPDY or WebSocket.

Who answers what (measured on Kubernetes 1.34 and read in its source):

- 401 and 403 with a Status body come from the API server; a 403 with an empty body from a runtime or proxy that does
  not know the flavour that was asked for.
- 404 whose Status says NotFound: the pod is gone. 404 with an empty body: a kubelet that has just started and does not
  know its pods yet. 500 with an empty body: the runtime is away; with a Status, "error dialing backend": the kubelet.
- A 101 proves nothing about the pod's port: the runtime dials later and refuses by text in the carrier. Only the first
  bytes of the gateway prove a lane.
"""

from __future__ import annotations

import json
import time
from http import HTTPStatus
from typing import TYPE_CHECKING

from websockets.client import ClientProtocol
from websockets.typing import Subprotocol
from websockets.uri import WebSocketURI

from kttun.config import CarrierKind
from kttun.errors import InternalError
from kttun.link.carrier import LaneLostError
from kttun.link.reach import Answer, DialError, DialFailure, ask, explain, place, reach, send_all
from kttun.link.spdy import SpdyCarrier, opening
from kttun.link.websocket import MAX_MESSAGE, SUBPROTOCOL, WebSocketCarrier

if TYPE_CHECKING:
    from kttun.config import ApiEndpoint
    from kttun.link.carrier import Carrier
    from kttun.link.wire import Wire

AUTO_ORDER = (CarrierKind.SPDY, CarrierKind.WEBSOCKET)
"""What `CarrierKind.AUTO` means to a caller: try the next kind when one raises `DialFailure.REFUSED` or `FORBIDDEN`
(they need different verbs), or when its lane ends or stays silent before the gateway's first bytes. SPDY first: twice
the rate upwards at half the cluster's CPU."""

USER_AGENT = "kttun"


def dial(endpoint: ApiEndpoint, namespace: str, pod: str, port: int, *, kind: CarrierKind, timeout_s: float) -> Carrier:
    """Open a port-forward to `port` on the pod's loopback and give its carrier, non-blocking.

    Blocks for `timeout_s` seconds at most, besides name look-up and what `endpoint.headers()` takes. `kind` is one of
    `AUTO_ORDER`. Raises `DialError`, and whatever `endpoint.headers()` raises.
    """
    if kind not in AUTO_ORDER:
        raise InternalError(f"no lane can be opened as {kind}: the caller chooses from AUTO_ORDER")
    headers = {"Host": place(endpoint.host, endpoint.port), "User-Agent": USER_AGENT, **endpoint.headers()}
    path = f"{endpoint.path_prefix}/api/v1/namespaces/{namespace}/pods/{pod}/portforward"
    wire = reach(endpoint, time.monotonic() + timeout_s)
    try:
        carrier = (_spdy if kind is CarrierKind.SPDY else _websocket)(wire, path, headers, port)
        wire.unblock()
    except (LaneLostError, TimeoutError) as error:
        wire.close()
        what = f"API server {place(endpoint.host, endpoint.port)} did not open a port-forward"
        raise DialError(DialFailure.UNREACHABLE, f"{what}: {explain(error)}") from error
    except BaseException:
        wire.close()
        raise
    return carrier


def _spdy(wire: Wire, path: str, headers: dict[str, str], port: int) -> Carrier:
    extra = {
        "Connection": "Upgrade",
        "Upgrade": "SPDY/3.1",
        "X-Stream-Protocol-Version": "portforward.k8s.io",
        "Content-Length": "0",
    }
    answer = ask(wire, "POST", path, headers | extra)
    if answer.status != HTTPStatus.SWITCHING_PROTOCOLS:
        raise _refusal(answer, CarrierKind.SPDY, path)
    if answer.headers.get("Upgrade", "").lower() != "spdy/3.1":
        raise DialError(DialFailure.REFUSED, "the API server upgraded to something else than SPDY/3.1")
    send_all(wire, opening(port))
    return SpdyCarrier(wire)


def _websocket(wire: Wire, path: str, headers: dict[str, str], port: int) -> Carrier:
    # Only the handshake's key and its check are used of this object; its address goes nowhere.
    uri = WebSocketURI(secure=False, host="api", port=80, path=path, query="")
    protocol = ClientProtocol(uri, subprotocols=[Subprotocol(SUBPROTOCOL)], max_size=MAX_MESSAGE)
    request = protocol.connect()
    del request.headers["Host"]
    answer = ask(wire, "GET", f"{path}?ports={port}", headers | dict(request.headers.raw_items()))
    if answer.status != HTTPStatus.SWITCHING_PROTOCOLS:
        raise _refusal(answer, CarrierKind.WEBSOCKET, path)
    protocol.receive_data(answer.head)
    if protocol.handshake_exc is not None or protocol.subprotocol != SUBPROTOCOL:
        reason = protocol.handshake_exc or f"it does not know {SUBPROTOCOL}"
        raise DialError(DialFailure.REFUSED, f"the API server's WebSocket cannot be used: {reason}")
    return WebSocketCarrier(wire)


def _refusal(answer: Answer, kind: CarrierKind, path: str) -> DialError:
    """Turn an answer that is no 101 into an error that says whose fault it is."""
    status = _status(answer.body)
    said = status.get("message") or f"{answer.status} {answer.reason}".strip()
    if answer.status == HTTPStatus.UNAUTHORIZED:
        return DialError(
            DialFailure.UNAUTHORIZED,
            f"the API server does not accept the credentials: {said}",
            "log in again: the token or certificate may have expired",
        )
    if answer.status == HTTPStatus.FORBIDDEN and status:
        return DialError(DialFailure.FORBIDDEN, f"port-forward is forbidden: {said}", *_verbs(kind))
    if answer.status == HTTPStatus.NOT_FOUND and status.get("reason") == "NotFound":
        return DialError(DialFailure.POD_GONE, f"the gateway pod is gone: {said}")
    if answer.status in {HTTPStatus.NOT_FOUND, HTTPStatus.TOO_MANY_REQUESTS} or answer.status >= 500:
        return DialError(DialFailure.RESTARTING, f"the node cannot forward now: {said}")
    return DialError(DialFailure.REFUSED, f"{kind} is not let through on {path}: {said}")


def _verbs(kind: CarrierKind) -> tuple[str, ...]:
    """Name the missing verb: SPDY is a POST, so `create`; WebSocket a GET, so `get`, and from 1.35 on `create` too."""
    verbs = "create" if kind is CarrierKind.SPDY else "get and create"
    return (f"you need the verb {verbs} on pods/portforward; `kttun rbac` prints a Role for your administrator",)


def _status(body: bytes) -> dict[str, str]:
    """Give `reason` and `message` of a Status object (meta/v1); empty when the body is none."""
    try:
        status = json.loads(body)
    except ValueError:
        return {}
    if not isinstance(status, dict) or status.get("kind") != "Status":
        return {}
    return {key: str(status[key]) for key in ("reason", "message") if status.get(key)}
