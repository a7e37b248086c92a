"""Tokens of service accounts that tests make themselves (RFC 7519), with the cluster's own key."""

from __future__ import annotations

import base64
import json
import time

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import load_pem_private_key


def expired(token: str, key: bytes) -> str:
    """Give a token like this one that was good until an hour ago, signed with a key of curve P-256 (PEM)."""
    head, claims, _ = token.split(".")
    content = json.loads(base64.urlsafe_b64decode(f"{claims}=="))
    content |= {"iat": time.time() - 7200, "nbf": time.time() - 7200, "exp": time.time() - 3600}
    signed = f"{head}.{_encoded(json.dumps(content).encode())}"
    signer = load_pem_private_key(key, None)
    assert isinstance(signer, EllipticCurvePrivateKey)
    # RFC 7518 section 3.4: both numbers of the signature, 32 bytes each.
    numbers = decode_dss_signature(signer.sign(signed.encode(), ECDSA(hashes.SHA256())))
    return f"{signed}.{_encoded(b''.join(number.to_bytes(32) for number in numbers))}"


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
