"""Frozen values that more than one room needs: what the user asked for, and where the API server is.

Nothing here touches anything: values are made in `cli` (from arguments) and in `cluster` (from a kubeconfig) and read
everywhere below.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping
    from ipaddress import IPv4Interface, IPv4Network, IPv6Interface, IPv6Network
    from pathlib import Path

    Network = IPv4Network | IPv6Network
    Interface = IPv4Interface | IPv6Interface


class DnsMode(StrEnum):
    """How the host learns to ask the forwarder for cluster names (`--dns`)."""

    AUTO = "auto"
    RESOLVED = "resolved"
    RESOLVCONF = "resolvconf"
    OFF = "off"


class RoutesMode(StrEnum):
    """Whole networks, or exact addresses of what was found (`--routes`)."""

    AUTO = "auto"
    NETWORKS = "networks"
    ADDRESSES = "addresses"


class Engine(StrEnum):
    """How the gateway emits packets (`--engine`)."""

    AUTO = "auto"
    KERNEL = "kernel"
    USERSPACE = "userspace"


class CarrierKind(StrEnum):
    """How a lane's byte stream crosses the API server (`--carrier`)."""

    AUTO = "auto"
    SPDY = "spdy"
    WEBSOCKET = "websocket"


@dataclass(frozen=True, slots=True)
class ClusterChoice:
    """Which cluster and namespace the user named; None means the kubeconfig's own answer."""

    kubeconfig: Path | None = None
    context: str | None = None
    namespace: str | None = None


@dataclass(frozen=True, slots=True)
class RouteChoice:
    """Which networks the user named by hand."""

    include: tuple[Network, ...] = ()
    exclude: tuple[Network, ...] = ()
    service_cidrs: tuple[Network, ...] = ()
    pod_cidrs: tuple[Network, ...] = ()
    mode: RoutesMode = RoutesMode.AUTO


@dataclass(frozen=True, slots=True)
class GatewayChoice:
    """How the gateway pod shall look and how long it may live."""

    image: str
    image_pull_secret: str | None = None
    service_account: str | None = None
    node_selector: tuple[tuple[str, str], ...] = ()
    engine: Engine = Engine.AUTO
    timeout_s: float = 60.0
    """Longest wait from creating the Job to the gateway's first log line, seconds."""
    linger_s: float = 60.0
    """How long a gateway without a live client keeps its state before it ends, seconds."""
    max_age_s: float = 24 * 3600.0
    """Upper bound of the Job's life, seconds: `activeDeadlineSeconds` once the tunnel is open."""


@dataclass(frozen=True, slots=True)
class UpConfig:
    """Everything `kttun up` was asked to do."""

    cluster: ClusterChoice
    gateway: GatewayChoice
    routes: RouteChoice = field(default_factory=RouteChoice)
    session: str | None = None
    dns: DnsMode = DnsMode.AUTO
    carrier: CarrierKind = CarrierKind.AUTO
    tun_name: str | None = None
    command: tuple[str, ...] = ()
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class HttpProxy:
    """A proxy that reaches the API server by HTTP CONNECT (RFC 9110 section 9.3.6)."""

    host: str
    port: int
    tls: bool = False
    authorization: str | None = None


@dataclass(frozen=True)
class ApiEndpoint:
    """How to open a connection to the API server, as the kubeconfig says it.

    `headers` is called for each connection, so that a token is fresh each time; it may run a credential plugin and so
    may block for seconds or raise `EnvironmentFaultError`. It carries `Authorization` and impersonation headers.
    `tls` is None for a plain-text server. `path_prefix` has a leading slash and no trailing one, or is empty.
    """

    host: str
    port: int
    path_prefix: str
    tls: ssl.SSLContext | None
    server_hostname: str
    proxy: HttpProxy | None
    headers: Callable[[], Mapping[str, str]]
