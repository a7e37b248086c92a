"""A certificate authority in small: signs one server and any number of users."""

import datetime as dt
import ssl
import tempfile
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class Authority:
    """`pem` is the CA's certificate; `server(names)` and `user(name)` give (certificate, key), all PEM bytes."""

    def __init__(self):
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name("test authority")
        self.pem = _pem(self._sign(self._name, self._key.public_key(), [(x509.BasicConstraints(True, None), True)]))

    def server(self, names=("api.test",), addresses=("127.0.0.1",)):
        alternatives = [*map(x509.DNSName, names), *(x509.IPAddress(ip_address(a)) for a in addresses)]
        return self._issue(names[0], [(x509.SubjectAlternativeName(alternatives), False)])

    def user(self, name):
        return self._issue(name, [])

    def server_context(self):
        """A TLS context that asks for a certificate of a user, and takes none as well."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "server.pem")
            path.write_bytes(b"".join(self.server()))
            context.load_cert_chain(path)
        context.load_verify_locations(cadata=self.pem.decode())
        context.verify_mode = ssl.CERT_OPTIONAL
        return context

    def _issue(self, name, extensions):
        key = ec.generate_private_key(ec.SECP256R1())
        text = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return _pem(self._sign(_name(name), key.public_key(), extensions)), text

    def _sign(self, subject, public_key, extensions):
        now = dt.datetime.now(dt.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=1))
            .not_valid_after(now + dt.timedelta(days=1))
        )
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical=critical)
        return builder.sign(self._key, hashes.SHA256())


def _name(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _pem(certificate):
    return certificate.public_bytes(serialization.Encoding.PEM)
