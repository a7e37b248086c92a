"""What this machine must not lose: read before anything is changed, and looked up again afterwards."""

from __future__ import annotations

import os
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import TYPE_CHECKING

from kttun.errors import RefusedError
from kttun.host.lookup import connected_networks, default_gateways, existing_routes, look_up
from kttun.host.resolver.method import nameservers_of
from kttun.routing.plan import ExcludedRoute

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from ipaddress import IPv4Address, IPv6Address

    from kttun.routing.plan import ConnectedNetwork, ExistingRoute

    Address = IPv4Address | IPv6Address

RESOLV_CONFS = (Path("/run/systemd/resolve/resolv.conf"), Path("/etc/resolv.conf"))
"""systemd-resolved's own list of servers, then what programs read (resolv.conf(5))."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """This machine's networks as they were before us."""

    protected: tuple[ExcludedRoute, ...]
    connected: tuple[ConnectedNetwork, ...]
    existing: tuple[ExistingRoute, ...]
    nameservers: tuple[Address, ...]
    """The host's own DNS servers, those on loopback left out."""
    devices: tuple[tuple[Address, str, str | None], ...]
    """(address, why it is protected, device its packets leave by) for the check afterwards."""


def look_around(api_addresses: Iterable[Address]) -> Surroundings:
    """Read routes and resolver; needs no root. `api_addresses`: the API server's and those of a proxy before it."""
    found: dict[Address, str] = {}
    for address, reason in _protected(api_addresses):
        found.setdefault(address, reason)
    return Surroundings(
        protected=tuple(ExcludedRoute(ip_network(address), reason) for address, reason in found.items()),
        connected=connected_networks(),
        existing=existing_routes(),
        nameservers=tuple(dict.fromkeys(_nameservers())),
        devices=tuple((address, reason, _device(address)) for address, reason in found.items()),
    )


def check_unmoved(surroundings: Surroundings) -> None:
    """Look every protected address up again; raise `RefusedError` for the first that leaves by another device now."""
    for address, reason, before in surroundings.devices:
        now = _device(address)
        if now != before:
            raise RefusedError(
                f"{reason} {address} would leave by {now or 'no device'} instead of {before or 'no device'}"
                " with these routes",
                f"keep it out: --exclude {address}",
            )


def is_own(address: Address) -> bool:
    """Say whether an address is one of this machine's."""
    return _device(address) == "lo"


def _device(address: Address) -> str | None:
    found = look_up(address)
    return found.device if found else None


def _protected(api_addresses: Iterable[Address]) -> Iterator[tuple[Address, str]]:
    for address in api_addresses:
        yield address, "API server"
    for gateway in default_gateways():
        if gateway.address is not None:
            yield gateway.address, "default gateway"
    for address in _nameservers():
        yield address, "DNS server"
    login = _ssh_peer()
    if login is not None:
        yield login, "SSH login"


def _nameservers() -> Iterator[Address]:
    for text in (text for path in RESOLV_CONFS for text in nameservers_of(path)):
        address = _address(text)
        # Our own addresses are no server to keep: another session's forwarder may end while this one lives.
        if address is not None and not address.is_loopback and not is_own(address):
            yield address


def _ssh_peer() -> Address | None:
    """Give the far end of the SSH login this command was typed in, if any.

    sudo drops SSH_CONNECTION (ssh(1)) from the environment, so the nearest ancestor that still has it is asked; only
    processes of the same user can be read, and the login shell is one.
    """
    process = os.getpid()
    while process > 1:
        try:
            environment = Path(f"/proc/{process}/environ").read_bytes().split(b"\0")
        except OSError:
            environment = []
        for entry in environment:
            if entry.startswith(b"SSH_CONNECTION="):
                words = entry.partition(b"=")[2].decode(errors="replace").split()
                return _address(words[0]) if words else None
        process = _parent(process)
    return None


def _parent(process: int) -> int:
    try:
        # proc(5), /proc/PID/stat: the name in parentheses may hold anything; state and parent follow it.
        return int(Path(f"/proc/{process}/stat").read_text(errors="replace").rpartition(")")[2].split()[1])
    except (OSError, ValueError, IndexError):
        return 0


def _address(text: str) -> Address | None:
    try:
        return ip_address(text.partition("%")[0])
    except ValueError:
        return None
