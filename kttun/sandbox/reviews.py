"""Questions that are answered and not kept: SelfSubjectAccessReview, and the TokenRequest of a ServiceAccount."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from kttun.sandbox.rbac import Attributes
from kttun.sandbox.status import bad_request

if TYPE_CHECKING:
    from kttun.sandbox.rbac import Authorizer
    from kttun.sandbox.users import Authenticator, User

    Object = dict[str, Any]


def answer_review(authorizer: Authorizer, user: User, review: Object) -> Object:
    """Answer whether the user may (authorization.k8s.io/v1). Raises `StatusError` 400 for a question about nothing."""
    spec = review.get("spec") or {}
    asked = spec.get("resourceAttributes") or spec.get("nonResourceAttributes")
    if not asked:
        raise bad_request("exactly one of nonResourceAttributes or resourceAttributes must be specified")
    fields = ("verb", "group", "resource", "subresource", "namespace", "name", "path")
    wanted = Attributes(**{"verb": ""} | {field: asked[field] for field in fields if asked.get(field)})
    why = authorizer.allowed(user, wanted)
    return review | {"status": {"allowed": bool(why), **({"reason": why} if why else {})}}


def answer_token_request(authenticator: Authenticator, account: Object, request: Object) -> Object:
    """Make a token as a TokenRequest (authentication.k8s.io/v1) asks for it."""
    spec = request.get("spec") or {}
    token, until = authenticator.token(account, spec.get("expirationSeconds"))
    end = dt.datetime.fromtimestamp(until, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "kind": "TokenRequest",
        "apiVersion": "authentication.k8s.io/v1",
        "metadata": {"name": account["metadata"]["name"], "namespace": account["metadata"]["namespace"]},
        "spec": spec,
        "status": {"token": token, "expirationTimestamp": end},
    }
