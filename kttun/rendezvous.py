"""What laptop and gateway tell each other beside packets: two frozen values and their JSON.

`GatewaySettings` travels in the Job's environment (readable by whoever may read the Job, so it holds no secret: keys in
it are public halves). `GatewayReport` travels inside the authenticated handshake, so it is as trustworthy as the pod.
Both ends may be of different releases: unknown keys are ignored, missing or ill-typed ones are a `ValueError`.
"""

from __future__ import annotations

import base64
import json
from dataclasses import asdict, dataclass
from ipaddress import ip_interface, ip_network
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from ipaddress import IPv4Interface, IPv6Interface

    Interface = IPv4Interface | IPv6Interface

ENVIRONMENT_NAME = "KTTUN_GATEWAY"
"""Name of the environment variable that holds `GatewaySettings` as JSON."""

KEY_LINE = "kttun-gateway 1 key "
"""Start of the gateway's first log line; its public key follows, base64. Printed once everything is ready."""

LONGEST_LINGER_S = 366 * 86400.0
"""Seconds that a gateway may be asked to wait; setitimer(2) ends somewhere, and patience earlier."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class GatewaySettings:
    """What the laptop asks of its gateway."""

    client_key: bytes
    """The laptop's X25519 public key, 32 bytes (RFC 7748)."""
    session_id: bytes
    """16 bytes that name the session across reconnects."""
    port: int
    """TCP port of the gateway's listener on 127.0.0.1."""
    laptop: tuple[Interface, ...]
    """The TUN's addresses at the laptop's end, at most one a family."""
    gateway: tuple[Interface, ...]
    """The TUN's addresses at the gateway's end, in the same order."""
    linger_s: float
    """Seconds without a live client after which the gateway ends itself."""
    engine: str = "kernel"

    def to_json(self) -> str:
        """Give the text for the Job's environment."""
        return json.dumps(
            {
                "client_key": base64.b64encode(self.client_key).decode(),
                "session_id": self.session_id.hex(),
                "port": self.port,
                "laptop": [str(each) for each in self.laptop],
                "gateway": [str(each) for each in self.gateway],
                "linger_s": self.linger_s,
                "engine": self.engine,
            }
        )

    @classmethod
    def from_json(cls, text: str) -> GatewaySettings:
        """Parse what `to_json` gave; raise `ValueError` with the key that is wrong."""
        data = _object(text)
        settings = cls(
            client_key=_decoded(data, "client_key", lambda value: base64.b64decode(value, validate=True), 32),
            session_id=_decoded(data, "session_id", bytes.fromhex, 16),
            port=_take(data, "port", int),
            laptop=_interfaces(data, "laptop"),
            gateway=_interfaces(data, "gateway"),
            linger_s=_take(data, "linger_s", int | float),
            engine=_take(data, "engine", str),
        )
        if not 0 < settings.port < 65536:
            raise ValueError(f"port {settings.port} is none")
        if not 0 < settings.linger_s <= LONGEST_LINGER_S:
            raise ValueError(f"linger_s {settings.linger_s} is no time to wait")
        return settings


@dataclass(frozen=True, slots=True)
class GatewayReport:
    """What one end says of itself inside the handshake; the laptop fills only `version` and `offloads`."""

    version: str
    offloads: int
    """`TUNSETOFFLOAD` bits in force on its TUN (linux/if_tun.h), which is also what it accepts on writes."""
    engine: str = ""
    engine_reason: str = ""
    pod_mtu: int = 0
    """MTU of the pod's own interface, bytes: `gso_size` plus headers must fit it."""
    forwards_ipv4: bool = False
    forwards_ipv6: bool = False
    networks: tuple[str, ...] = ()
    """Networks that the pod's own devices are part of, as its CNI set them: often the pod range of its node."""
    nameservers: tuple[str, ...] = ()
    search: tuple[str, ...] = ()
    """Cluster DNS addresses and search list from the pod's resolv.conf."""
    host: str = ""

    def to_json(self) -> bytes:
        """Give the payload of the handshake message."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_json(cls, payload: bytes) -> GatewayReport:
        """Parse what `to_json` gave; raise `ValueError` with the key that is wrong."""
        data = _object(payload)
        return cls(
            version=_take(data, "version", str),
            offloads=_take(data, "offloads", int),
            engine=_take(data, "engine", str),
            engine_reason=_take(data, "engine_reason", str),
            pod_mtu=_take(data, "pod_mtu", int),
            forwards_ipv4=_take(data, "forwards_ipv4", bool),
            forwards_ipv6=_take(data, "forwards_ipv6", bool),
            networks=_checked(data, "networks", ip_network),
            nameservers=_strings(data, "nameservers"),
            search=_strings(data, "search"),
            host=_take(data, "host", str),
        )


def _object(text: str | bytes) -> Mapping[str, Any]:
    data = json.loads(text)
    if not isinstance(data, dict):
        raise ValueError("a JSON object is expected")  # noqa: TRY004 - callers catch one kind for all bad input
    return data


def _take(data: Mapping[str, Any], key: str, kind: type[T] | Any) -> T:
    value = data.get(key)
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise ValueError(f"{key} is missing or has a wrong type")
    return value


def _decoded(data: Mapping[str, Any], key: str, decode: Callable[[str], bytes], size: int) -> bytes:
    try:
        value = decode(_take(data, key, str))
    except ValueError:
        value = b""
    if len(value) != size:
        raise ValueError(f"{key} is not {size} encoded bytes")
    return value


def _strings(data: Mapping[str, Any], key: str) -> tuple[str, ...]:
    values = _take(data, key, list)  # type: list[Any]
    if not all(isinstance(value, str) for value in values):
        raise ValueError(f"{key} holds something that is not text")
    return tuple(values)


def _interfaces(data: Mapping[str, Any], key: str) -> tuple[Interface, ...]:
    return tuple(ip_interface(value) for value in _checked(data, key, ip_interface))


def _checked(data: Mapping[str, Any], key: str, parse: Callable[[str], object]) -> tuple[str, ...]:
    """Give the texts of a list, each of which `parse` takes."""
    values = _strings(data, key)
    try:
        for value in values:
            parse(value)
    except ValueError as error:
        raise ValueError(f"{key}: {error}") from None
    return values
