"""The cluster's own certificate authority, its server certificate and the certificates of its users."""

from __future__ import annotations

import datetime as dt
import ssl
import tempfile
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

if TYPE_CHECKING:
    from collections.abc import Iterable

LIFE = dt.timedelta(days=365)
SLACK = dt.timedelta(minutes=5)
"""How far in the past certificates begin, for clocks that differ."""


class Authority:
    """A certificate authority that lives in memory: what it signed is good as long as somebody has its `pem`."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kttun sandbox")])
        usage = x509.KeyUsage(
            digital_signature=True,
            key_cert_sign=True,
            crl_sign=True,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            encipher_only=False,
            decipher_only=False,
        )
        basic = x509.BasicConstraints(ca=True, path_length=None)
        made = self._sign(self._name, self._key.public_key(), [(basic, True), (usage, True)])
        self.pem = made.public_bytes(Encoding.PEM)
        """The certificate that clients trust, PEM."""

    def user(self, name: str, groups: Iterable[str] = ()) -> tuple[bytes, bytes]:
        """Give certificate and key, PEM, by which the API knows this user and his groups."""
        attributes = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
        attributes.append(x509.NameAttribute(NameOID.COMMON_NAME, name))
        return self._issue(x509.Name(attributes), ExtendedKeyUsageOID.CLIENT_AUTH, [])

    def server(self, names: Iterable[str], addresses: Iterable[str]) -> tuple[bytes, bytes]:
        """Give certificate and key, PEM, for a server that is reached by these names and addresses."""
        known: list[x509.GeneralName] = [x509.DNSName(name) for name in names]
        known += [x509.IPAddress(ip_address(address)) for address in addresses]
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kube-apiserver")])
        return self._issue(subject, ExtendedKeyUsageOID.SERVER_AUTH, known)

    def server_context(self, names: Iterable[str], addresses: Iterable[str]) -> ssl.SSLContext:
        """Give the TLS side of the API server: a certificate of the client is checked, but none is fine too."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with tempfile.TemporaryDirectory() as folder:  # OpenSSL's Python face reads files only
            path = Path(folder, "server.pem")
            path.touch(mode=0o600)
            path.write_bytes(b"".join(self.server(names, addresses)))
            context.load_cert_chain(path)
        context.load_verify_locations(cadata=self.pem.decode("ascii"))
        context.verify_mode = ssl.CERT_OPTIONAL
        return context

    def _issue(
        self, subject: x509.Name, purpose: x509.ObjectIdentifier, known: list[x509.GeneralName]
    ) -> tuple[bytes, bytes]:
        key = ec.generate_private_key(ec.SECP256R1())
        extensions: list[tuple[x509.ExtensionType, bool]] = [(x509.ExtendedKeyUsage([purpose]), False)]
        if known:
            extensions.append((x509.SubjectAlternativeName(known), False))
        text = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return self._sign(subject, key.public_key(), extensions).public_bytes(Encoding.PEM), text

    def _sign(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePublicKey,
        extensions: list[tuple[x509.ExtensionType, bool]],
    ) -> x509.Certificate:
        now = dt.datetime.now(dt.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - SLACK)
            .not_valid_after(now + LIFE)
        )
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical=critical)
        return builder.sign(self._key, hashes.SHA256())
