"""NO_PROXY, as Go programs and so kubectl read it (golang.org/x/net/http/httpproxy): names, addresses and networks."""

from __future__ import annotations

import contextlib
import ipaddress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from urllib.parse import SplitResult

DEFAULT_PORTS = {"https": 443, "http": 80}


def bypassed(server: SplitResult, no_proxy: str) -> bool:
    """Whether `server` is reached without the environment's proxy.

    `no_proxy` is a comma list: `*` is everything; `example.org` is that name and all below it, `.example.org` only
    those below; addresses and networks match addresses; each may end in `:port`. The machine itself takes no proxy.
    """
    host = (server.hostname or "").lower()
    address = _address(host)
    if host == "localhost" or (address is not None and address.is_loopback):
        return True
    port = server.port or DEFAULT_PORTS.get(server.scheme, 0)
    return any(_matches(entry.strip().lower(), host, address, port) for entry in no_proxy.split(",") if entry.strip())


def _matches(entry: str, host: str, address: ipaddress.IPv4Address | ipaddress.IPv6Address | None, port: int) -> bool:
    if entry == "*":
        return True
    if address is not None:
        with contextlib.suppress(ValueError):  # not a network: a name, or something with a port
            return address in ipaddress.ip_network(entry, strict=False)
    name, colon, wanted = entry.rpartition(":")
    if colon and wanted.isdigit():
        return int(wanted) == port and _matches(name.strip("[]"), host, address, port)
    entry = entry.removeprefix("*")
    if entry.startswith("."):
        return host.endswith(entry)
    return host == entry or host.endswith(f".{entry}")


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
