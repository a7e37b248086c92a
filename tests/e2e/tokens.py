"""Tokens of service accounts that tests make themselves, with the cluster's own key."""

from __future__ import annotations

import time

import jwt

HOUR_S = 3600


def expired(token: str, key: bytes) -> str:
    """Give a token like this one that was good until an hour ago, signed with a key of curve P-256 (PEM)."""
    now = int(time.time())
    claims = jwt.decode(token, options={"verify_signature": False})
    claims |= {"iat": now - 2 * HOUR_S, "nbf": now - 2 * HOUR_S, "exp": now - HOUR_S}
    return jwt.encode(claims, key, "ES256", headers=jwt.get_unverified_header(token))
