"""Acting as somebody else by Impersonate headers, for whoever may (Kubernetes "User impersonation")."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import unquote

from kttun.sandbox.rbac import Attributes
from kttun.sandbox.status import StatusError, bad_request
from kttun.sandbox.users import AUTHENTICATED, User, account_user

if TYPE_CHECKING:
    from collections.abc import Iterator

    from multidict import CIMultiDictProxy

    from kttun.sandbox.rbac import Authorizer

    Headers = CIMultiDictProxy[str]

ACCOUNT = "system:serviceaccount:"
EXTRA = "impersonate-extra-"


def impersonated(authorizer: Authorizer, user: User, headers: Headers) -> User:
    """Give whom the user asks to be, himself when he does not. Raises `StatusError` 403 when he may not, and 400."""
    name, groups = headers.get("Impersonate-User", ""), headers.getall("Impersonate-Group", [])
    wanted = list(_wanted(name, groups, headers))
    if wanted and not name:
        raise bad_request("requested to impersonate groups, a uid or extra fields without impersonating a user")
    for one in wanted:
        if not authorizer.allowed(user, one):
            message = f'{one.whole} "{one.name}" is forbidden: {one.refusal(user)}'
            raise StatusError(HTTPStatus.FORBIDDEN, "Forbidden", message, name=one.name, kind=one.resource)
    if not name:
        return user
    if name.startswith(ACCOUNT) and not groups:
        return account_user(*_account(name))
    return User(name, tuple(dict.fromkeys((*groups, AUTHENTICATED))))


def _account(name: str) -> tuple[str, str]:
    namespace, _, account = name.removeprefix(ACCOUNT).partition(":")
    return namespace, account


def _wanted(name: str, groups: list[str], headers: Headers) -> Iterator[Attributes]:
    """Give the rights that it takes."""
    if name.startswith(ACCOUNT):
        namespace, account = _account(name)
        yield Attributes("impersonate", "", "serviceaccounts", namespace=namespace, name=account)
    elif name:
        yield Attributes("impersonate", "", "users", name=name)
    for group in groups:
        yield Attributes("impersonate", "", "groups", name=group)
    if uid := headers.get("Impersonate-Uid"):
        yield Attributes("impersonate", "authentication.k8s.io", "uids", name=uid)
    for key, value in headers.items():
        if key.lower().startswith(EXTRA):
            extra = unquote(key.lower().removeprefix(EXTRA))
            yield Attributes("impersonate", "authentication.k8s.io", "userextras", extra, name=value)
