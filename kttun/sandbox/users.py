"""Who asks: client certificates (CN is the user, each O a group) and tokens of ServiceAccounts.

Tokens are JWTs, signed with ES256 by the cluster's own key, as the API server makes them for a TokenRequest
(authentication.k8s.io/v1): subject `system:serviceaccount:NAMESPACE:NAME`, good until `exp`.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jwt

from kttun.sandbox.kinds import SERVICE_ACCOUNTS
from kttun.sandbox.status import unauthorized
from kttun.sandbox.store import timestamp

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cryptography.hazmat.primitives.asymmetric import ec

    from kttun.sandbox.store import Store

AUTHENTICATED = "system:authenticated"
MASTERS = "system:masters"
ISSUER = "https://kubernetes.default.svc.cluster.local"
ALGORITHM = "ES256"

TOKEN_S = 3600
"""Usual life of a token (TokenRequest spec.expirationSeconds)."""


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who asks, as the authorizer knows him."""

    name: str
    groups: tuple[str, ...] = ()


def account_user(namespace: str, name: str) -> User:
    """Give the user that a ServiceAccount is, with the groups that it is always in."""
    groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", AUTHENTICATED)
    return User(f"system:serviceaccount:{namespace}:{name}", groups)


class Authenticator:
    """Knows users by what they bring. `key` (P-256) signs and checks tokens; accounts are looked up in the store."""

    def __init__(self, store: Store, key: ec.EllipticCurvePrivateKey) -> None:
        self._store, self._key = store, key

    def user(self, headers: Mapping[str, str], certificate: Mapping[str, Any] | None) -> User:
        """Give the user of a request; `certificate` is as `ssl.SSLSocket.getpeercert` gives it once it is verified.

        Raises `StatusError` 401 for a token that is none of ours or over, and for somebody without anything.
        """
        scheme, _, token = headers.get("Authorization", "").partition(" ")
        if certificate:
            subject = [pair for part in certificate.get("subject", ()) for pair in part]
            name = next((value for key, value in subject if key == "commonName"), "")
            return User(name, (*(value for key, value in subject if key == "organizationName"), AUTHENTICATED))
        if scheme.lower() == "bearer":
            return self._account(token.strip())
        raise unauthorized()

    def token(self, account: dict[str, Any], seconds: int = TOKEN_S) -> str:
        """Make a token for a ServiceAccount."""
        meta, now = account["metadata"], int(time.time())
        claims = {
            "iss": ISSUER,
            "aud": [ISSUER],
            "sub": account_user(meta["namespace"], meta["name"]).name,
            "iat": now,
            "exp": now + seconds,
            "kubernetes.io": {
                "namespace": meta["namespace"],
                "serviceaccount": {"name": meta["name"], "uid": meta["uid"]},
            },
        }
        return jwt.encode(claims, self._key, ALGORITHM)

    def answer(self, account: dict[str, Any], request: dict[str, Any]) -> dict[str, Any]:
        """Make a token as a TokenRequest asks for it."""
        seconds = (request.get("spec") or {}).get("expirationSeconds") or TOKEN_S
        status = {"token": self.token(account, seconds), "expirationTimestamp": timestamp(seconds)}
        return {"kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1", "status": status}

    def _account(self, token: str) -> User:
        try:
            claims = jwt.decode(token, self._key.public_key(), [ALGORITHM], audience=ISSUER)
            where = claims["kubernetes.io"]["namespace"]
            account = claims["kubernetes.io"]["serviceaccount"]
            found = self._store.find(SERVICE_ACCOUNTS, where, account["name"])
        except (jwt.PyJWTError, KeyError, TypeError) as error:
            raise unauthorized() from error
        if found is None or found["metadata"]["uid"] != account["uid"]:
            raise unauthorized()
        return account_user(where, account["name"])
