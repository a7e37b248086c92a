"""The API over HTTP: who asks, may he, what about; then the verb. Answers are JSON, refusals `Status` objects.

A request passes: silence of a fault -> authentication -> target -> authorization -> the verb. Protobuf, Tables and
OpenAPI schemas are not offered.
"""

from __future__ import annotations

import json
import logging
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from aiohttp import web

from kttun.sandbox.documents import document
from kttun.sandbox.faults import EmptyAnswerError
from kttun.sandbox.kinds import ACCESS_REVIEWS, PODS
from kttun.sandbox.portforward import PortForward
from kttun.sandbox.rbac import Attributes, Authorizer
from kttun.sandbox.resources import Resources, answer_review, watch
from kttun.sandbox.status import StatusError, bad_request, forbidden, internal
from kttun.sandbox.target import flag, number, target

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from kttun.sandbox.faults import Faults
    from kttun.sandbox.kubelet import Kubelet
    from kttun.sandbox.registry import Registry
    from kttun.sandbox.target import Target
    from kttun.sandbox.users import Authenticator, User

    Object = dict[str, Any]

PROTOBUF = "application/vnd.kubernetes.protobuf"

log = logging.getLogger(__name__)


class Api:
    """Answers requests; `handle` is what an `aiohttp.web.Server` calls."""

    def __init__(self, registry: Registry, authenticator: Authenticator, kubelet: Kubelet, faults: Faults) -> None:
        self._store, self._authenticator = registry.store, authenticator
        self._kubelet, self._faults = kubelet, faults
        self._authorizer = Authorizer(registry.store)
        self._resources = Resources(registry)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request, whatever happens."""
        await self._faults.awake()
        try:
            return await self._answer(request)
        except StatusError as error:
            return web.json_response(error.body(), status=error.code)
        except EmptyAnswerError as error:
            return web.Response(status=error.code)
        except (ConnectionError, web.HTTPException):
            raise
        except Exception as error:
            log.exception("bug while answering %s %s", request.method, request.path)
            failed = internal(str(error))
            return web.json_response(failed.body(), status=failed.code)

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        certificate = request.transport.get_extra_info("peercert") if request.transport else None
        user = self._authenticator.user(request.headers, certificate)
        wanted = target(request.method, request.path, watch=flag(request.query, "watch"))
        if wanted is None:
            return self._document(user, request)
        attributes = wanted.attributes()
        if not self._authorizer.allowed(user, attributes):
            raise forbidden(wanted.kind, wanted.name, attributes.refusal(user))
        if wanted.subresource:
            return await self._subresource(wanted, request)
        if wanted.verb == "watch":
            return await self._stream(request, watch(self._store, wanted, request.query))
        if wanted.verb == "get":
            return web.json_response(self._store.get(wanted.kind, wanted.namespace, wanted.name))
        if wanted.verb == "list":
            return web.json_response(self._resources.list(wanted, request.query))
        return self._change(user, wanted, request, await _body(request))

    def _document(self, user: User, request: web.BaseRequest) -> web.StreamResponse:
        asked = Attributes(request.method.lower(), path=request.path)
        if not self._authorizer.allowed(user, asked):
            raise StatusError(403, "Forbidden", f"forbidden: {asked.refusal(user)}")
        return web.json_response(document(request.path))

    def _change(self, user: User, wanted: Target, request: web.BaseRequest, body: Any) -> web.StreamResponse:
        """Do what changes something; nothing waits here, so it happens in one piece."""
        dry_run = "All" in request.query.getall("dryRun", [])
        if wanted.verb == "patch":
            return web.json_response(self._resources.patch(wanted, body, request.content_type, dry_run=dry_run))
        if not isinstance(body, dict):
            raise bad_request("the body of the request is no object")
        if wanted.kind == ACCESS_REVIEWS:
            return web.json_response(answer_review(self._authorizer, user, body), status=201)
        if wanted.verb == "create":
            return web.json_response(self._resources.create(wanted, body, dry_run=dry_run), status=201)
        dry_run = dry_run or "All" in (body.get("dryRun") or ())
        grace = body.get("gracePeriodSeconds", number(request.query, "gracePeriodSeconds"))
        return web.json_response(self._resources.delete(wanted, grace_s=grace, dry_run=dry_run))

    async def _subresource(self, wanted: Target, request: web.BaseRequest) -> web.StreamResponse:
        found = self._store.get(wanted.kind, wanted.namespace, wanted.name)
        if wanted.kind != PODS:
            return web.json_response(self._authenticator.answer(found, await _body(request)), status=201)
        if not found["spec"].get("nodeName"):
            raise bad_request(f"pod {wanted.name} does not have a host assigned")
        if wanted.subresource == "portforward":
            self._faults.check_node()
            return await PortForward(self._kubelet, self._faults, found).serve(request)
        container, tail = _container_of(found, request.query.get("container", "")), number(request.query, "tailLines")
        self._faults.check_node()
        pieces = self._kubelet.logs(found, container, follow=flag(request.query, "follow"), tail=tail)
        return await self._stream(request, pieces, "text/plain")

    async def _stream(
        self, request: web.BaseRequest, pieces: AsyncIterator[bytes], kind: str = "application/json"
    ) -> web.StreamResponse:
        """Send pieces as they come, until they or the client end."""
        response = web.StreamResponse(headers={"Content-Type": kind})
        await response.prepare(request)
        async with aclosing(pieces):  # type: ignore[type-var]  # an async generator in fact
            async for piece in pieces:
                await self._faults.awake()
                await response.write(piece)
        await response.write_eof()
        return response


async def _body(request: web.BaseRequest) -> Any:
    if request.content_type == PROTOBUF:
        raise StatusError(415, "UnsupportedMediaType", "the practice cluster takes JSON only")
    text = await request.read()
    try:
        return json.loads(text) if text else {}
    except ValueError as error:
        raise bad_request(f"the body of the request is no JSON: {error}") from error


def _container_of(pod: dict[str, Any], wanted: str) -> str:
    """Give the container whose log is wanted. Raises `StatusError` 400 if there is none, or it has not run yet."""
    name = pod["metadata"]["name"]
    names = [container["name"] for container in pod["spec"]["containers"]]
    if not wanted and len(names) > 1:
        choices = " ".join(names)
        raise bad_request(f"a container name must be specified for pod {name}, choose one of: [{choices}]")
    wanted = wanted or names[0]
    if wanted not in names:
        raise bad_request(f"container {wanted} is not valid for pod {name}")
    states = (pod.get("status") or {}).get("containerStatuses") or ()
    state: dict[str, Any] = next((one.get("state") or {} for one in states if one["name"] == wanted), {"waiting": {}})
    if "waiting" in state:
        why = state["waiting"].get("reason") or "ContainerCreating"
        raise bad_request(f'container "{wanted}" in pod "{name}" is waiting to start: {why}')
    return wanted
