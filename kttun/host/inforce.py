"""What the helper reports back after a change: the machine as it is, not as it was asked to be."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_interface, ip_network
from typing import TYPE_CHECKING, Any, Self

from kttun.host.tun import Offload

if TYPE_CHECKING:
    from kttun.config import Interface, Network


@dataclass(frozen=True, slots=True)
class InForce:
    """One session's marks on this machine. `resolver` is the way in use (a word of `--dns`), None without names."""

    tun_name: str
    tun_index: int
    tun_mtu: int
    offloads: Offload
    addresses: tuple[Interface, ...]
    routes: tuple[Network, ...]
    throws: tuple[Network, ...]
    table: int
    resolver: str | None

    def to_json(self) -> dict[str, object]:
        """Return the document that `from_json` reads."""
        return {
            "tun_name": self.tun_name,
            "tun_index": self.tun_index,
            "tun_mtu": self.tun_mtu,
            "offloads": int(self.offloads),
            "addresses": [str(address) for address in self.addresses],
            "routes": [str(route) for route in self.routes],
            "throws": [str(throw) for throw in self.throws],
            "table": self.table,
            "resolver": self.resolver,
        }

    @classmethod
    def from_json(cls, document: Any) -> Self:
        """Read what the helper, our own other half, wrote."""
        return cls(
            tun_name=document["tun_name"],
            tun_index=document["tun_index"],
            tun_mtu=document["tun_mtu"],
            offloads=Offload(document["offloads"]),
            addresses=tuple(ip_interface(address) for address in document["addresses"]),
            routes=tuple(ip_network(route) for route in document["routes"]),
            throws=tuple(ip_network(throw) for throw in document["throws"]),
            table=document["table"],
            resolver=document["resolver"],
        )
