"""The TLS side of a login: whom we trust, and the certificate that says who we are. No key is ever written to disk."""

from __future__ import annotations

import base64
import binascii
import os
import ssl
from typing import TYPE_CHECKING

from kttun.errors import EnvironmentFaultError

if TYPE_CHECKING:
    from kttun.cluster.kubeconfig import Entry


def trust(cluster: Entry) -> ssl.SSLContext:
    """Make the context for a cluster: its CA (data before file), else the system's; or none if it says insecure.

    As kubectl does, an intermediate CA may stand as the anchor, and old CAs without key usage are accepted.
    Raises `EnvironmentFaultError`.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if cluster.body.get("insecure-skip-tls-verify"):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    authority = content(cluster, "certificate-authority")
    if authority is None:
        context.load_default_certs()
        return context
    try:
        context.load_verify_locations(cadata=authority.decode("ascii"))
    except (ssl.SSLError, ValueError) as error:
        what = f"certificate-authority of cluster {cluster.name} is not a PEM certificate"
        raise EnvironmentFaultError(what) from error
    return context


def identify(context: ssl.SSLContext, user: Entry) -> None:
    """Load the user's client certificate and key, if the kubeconfig has them. Raises `EnvironmentFaultError`."""
    certificate, key = content(user, "client-certificate"), content(user, "client-key")
    if certificate is None and key is None:
        return
    if certificate is None or key is None:
        missing = "client-certificate" if certificate is None else "client-key"
        raise EnvironmentFaultError(f"user {user.name} of the kubeconfig has no {missing} to go with the other half")
    load_identity(context, certificate, key, f"user {user.name} of the kubeconfig")


def load_identity(context: ssl.SSLContext, certificate: bytes, key: bytes, whose: str) -> None:
    """Load PEM bytes into `context` by way of a memory file: OpenSSL's Python face reads files only.

    Raises `EnvironmentFaultError`, in which `whose` names the source.
    """
    descriptor = os.memfd_create("kttun-identity", os.MFD_CLOEXEC)
    try:
        os.write(descriptor, certificate.rstrip() + b"\n" + key)
        context.load_cert_chain(f"/proc/self/fd/{descriptor}", password=_no_password)
    except (ssl.SSLError, ValueError, OSError) as error:
        raise EnvironmentFaultError(f"certificate and key of {whose} do not fit or are no PEM") from error
    finally:
        os.close(descriptor)


def _no_password() -> str:
    """Answer for an encrypted key, lest OpenSSL asks on the terminal."""
    raise ValueError("the key is encrypted")


def content(entry: Entry, key: str) -> bytes | None:
    """Give what `key-data` (base64) or the file named by `key` holds; None when neither stands there.

    Raises `EnvironmentFaultError`.
    """
    if data := entry.body.get(f"{key}-data"):
        try:
            return base64.b64decode(str(data), validate=True)
        except (binascii.Error, ValueError) as error:
            raise EnvironmentFaultError(f"{key}-data of {entry.name} in the kubeconfig is not base64") from error
    path = entry.path(key)
    if path is None:
        return None
    try:
        return path.read_bytes()
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise EnvironmentFaultError(f"{key} of {entry.name}, {path}, cannot be read: {reason}") from error
