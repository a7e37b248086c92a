"""The API over HTTP: who asks, may he, what about; then the verb. Answers are JSON, refusals `Status` objects.

A request passes: silence of a fault -> authentication -> impersonation -> target -> authorization -> the verb. Protobuf
and OpenAPI schemas are not offered.
"""

from __future__ import annotations

import json
import logging
from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING, Any

from aiohttp import web

from kttun.sandbox.documents import document
from kttun.sandbox.faults import EmptyAnswerError
from kttun.sandbox.impersonation import impersonated
from kttun.sandbox.kinds import ACCESS_REVIEWS, PODS, SERVICE_ACCOUNTS
from kttun.sandbox.logs import read_log
from kttun.sandbox.portforward import PortForward
from kttun.sandbox.query import flag, number
from kttun.sandbox.rbac import Attributes, Authorizer
from kttun.sandbox.resources import Resources
from kttun.sandbox.reviews import answer_review, answer_token_request
from kttun.sandbox.status import StatusError, bad_request, forbidden, internal, not_allowed
from kttun.sandbox.tables import table, wants_table
from kttun.sandbox.target import target
from kttun.sandbox.watches import watch

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from kttun.sandbox.faults import Faults
    from kttun.sandbox.kinds import Kind
    from kttun.sandbox.pods import PodRuntime
    from kttun.sandbox.registry import Registry
    from kttun.sandbox.target import Target
    from kttun.sandbox.users import Authenticator, User

    Object = dict[str, Any]

PROTOBUF = "application/vnd.kubernetes.protobuf"

log = logging.getLogger(__name__)


class Api:
    """Answers requests; `handle` is what an `aiohttp.web.Server` calls."""

    def __init__(self, registry: Registry, authenticator: Authenticator, runtime: PodRuntime, faults: Faults) -> None:
        self._store, self._authenticator = registry.store, authenticator
        self._runtime, self._faults = runtime, faults
        self._authorizer = Authorizer(registry.store)
        self._resources = Resources(registry, self._authorizer)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request, whatever happens."""
        await self._faults.awake()
        try:
            return await self._answer(request)
        except StatusError as error:
            return _json(error.body(), error.code)
        except EmptyAnswerError as error:
            return web.Response(status=error.code)
        except (ConnectionError, web.HTTPException):
            raise
        except Exception as error:
            log.exception("bug while answering %s %s", request.method, request.path)
            failed = internal(str(error))
            return _json(failed.body(), failed.code)

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        certificate = request.transport.get_extra_info("peercert") if request.transport else None
        user = self._authenticator.user(request.headers, certificate)
        user = impersonated(self._authorizer, user, request.headers)
        wanted = target(request.method, request.path, watch=flag(request.query, "watch"))
        if wanted is None:
            return self._document(user, request)
        attributes = wanted.attributes()
        if not self._authorizer.allowed(user, attributes):
            raise forbidden(wanted.kind, wanted.name, attributes.refusal(user))
        if wanted.subresource and wanted.subresource != "status":
            return await self._subresource(wanted, request)
        if wanted.verb == "watch":
            render = partial(_rendered, wanted.kind, request)
            return await self._stream(request, watch(self._store, wanted.kind, wanted.namespace, request.query, render))
        if wanted.verb in {"get", "list"}:
            return _json(self._read(wanted, request))
        return self._change(user, wanted, request, await _body(request))

    def _read(self, wanted: Target, request: web.BaseRequest) -> Object:
        if wanted.verb == "get":
            return _rendered(wanted.kind, request, self._store.get(wanted.kind, wanted.namespace, wanted.name))
        found = self._resources.list(wanted, request.query)
        return table(wanted.kind, found["items"], found["metadata"]) if _wants_table(request) else found

    def _document(self, user: User, request: web.BaseRequest) -> web.StreamResponse:
        asked = Attributes(request.method.lower(), path=request.path)
        if not self._authorizer.allowed(user, asked):
            raise StatusError(403, "Forbidden", f"forbidden: {asked.refusal(user)}")
        found = document(request.path)
        return web.Response(text=found) if isinstance(found, str) else _json(found)

    def _change(self, user: User, wanted: Target, request: web.BaseRequest, body: Any) -> web.StreamResponse:
        """Do what changes something; nothing waits here, so it happens in one piece."""
        dry_run = "All" in request.query.getall("dryRun", [])
        if wanted.verb == "patch":
            kind = request.content_type
            return _json(self._resources.patch(user, wanted, body, kind, dry_run=dry_run))
        if not isinstance(body, dict):
            raise bad_request("the body of the request is no object")
        if wanted.kind == ACCESS_REVIEWS:
            return _json(answer_review(self._authorizer, user, body), 201)
        if wanted.verb == "create":
            made = self._resources.create(user, wanted, body, dry_run=dry_run)
            return _json(made.found, 201, made.warnings)
        if wanted.verb == "update":
            return _json(self._resources.update(user, wanted, body, dry_run=dry_run))
        options: Object = {key: value for key, value in request.query.items() if key == "propagationPolicy"} | body
        if (grace := number(request.query, "gracePeriodSeconds")) is not None:
            options.setdefault("gracePeriodSeconds", grace)
        dry_run = dry_run or "All" in (body.get("dryRun") or ())
        if wanted.verb == "delete":
            return _json(self._resources.delete(wanted, options, dry_run=dry_run))
        return _json(self._resources.delete_all(wanted, request.query, options, dry_run=dry_run))

    async def _subresource(self, wanted: Target, request: web.BaseRequest) -> web.StreamResponse:
        found = self._store.get(wanted.kind, wanted.namespace, wanted.name)
        if wanted.kind == SERVICE_ACCOUNTS and wanted.verb == "create":
            return _json(answer_token_request(self._authenticator, found, await _body(request)), 201)
        if wanted.kind != PODS or wanted.verb not in {"get", "create"}:
            raise not_allowed()
        if not found["spec"].get("nodeName"):
            raise bad_request(f"pod {wanted.name} does not have a host assigned")
        if wanted.subresource == "portforward":
            self._faults.check_node()
            return await PortForward(self._runtime, self._faults, found).serve(request)
        pieces = read_log(self._runtime, found, request.query)
        self._faults.check_node()
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


def _wants_table(request: web.BaseRequest) -> bool:
    return wants_table(request.headers.get("Accept", ""))


def _rendered(kind: Kind, request: web.BaseRequest, found: Object) -> Object:
    """Give one object as the client wants it: as it is, or as a Table of one row."""
    meta = {"resourceVersion": found["metadata"]["resourceVersion"]}
    return table(kind, [found], meta) if _wants_table(request) else found


def _json(found: Object, code: int = 200, warnings: Iterable[str] = ()) -> web.Response:
    response = web.json_response(found, status=code)
    for text in warnings:
        # RFC 7234 section 5.5: a code, an agent, a quoted text.
        response.headers.add("Warning", f"299 - {json.dumps(text)}")
    return response


async def _body(request: web.BaseRequest) -> Any:
    if request.content_type == PROTOBUF:
        message = "the practice cluster takes JSON only: where a command of kubectl fails, kubectl create -f works"
        raise StatusError(415, "UnsupportedMediaType", message)
    text = await request.read()
    try:
        return json.loads(text) if text else {}
    except ValueError as error:
        raise bad_request(f"the body of the request is no JSON: {error}") from error
