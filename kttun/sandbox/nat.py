"""Service addresses as NAT rules, as kube-proxy makes them: pure text, then one transaction of nft(8).

Sources: Kubernetes "Virtual IPs and Service Proxies"; what happens to an address without anybody behind it is what
kube-proxy's nftables mode does (pkg/proxy/nftables): ports without a ready pod and ports that the Service does not have
are refused. A pod that reaches itself by way of a Service must see another address than its own, or it would answer
itself directly: that alone is masqueraded.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kttun.errors import EnvironmentFaultError

if TYPE_CHECKING:
    from collections.abc import Iterable

TABLE = "kttun-sandbox"


@dataclass(frozen=True, slots=True, order=True)
class ServicePort:
    """One port of one Service address and the pods' ends behind it, as (address, port)."""

    address: str
    protocol: str
    """`tcp` or `udp`."""
    port: int
    ends: tuple[tuple[str, int], ...]


def ruleset(ports: Iterable[ServicePort], services: str) -> str:
    """Give the nft rules for all ports; `services` is the range of Service addresses (a CIDR).

    Adding the table first makes deleting it safe when it is not there, so loading is idempotent.
    """
    found = sorted(ports)
    nat = "".join(f"    {_match(each)} {_balance(each)}\n" for each in found if each.ends)
    own = sorted({address for each in found for address, _ in each.ends})
    hairpin = "".join(f"    ct status dnat ip saddr {address} ip daddr {address} masquerade\n" for address in own)
    reject = f"    ip daddr {services} ct status ! dnat ct state new reject\n"
    return (
        f"table ip {TABLE}\ndelete table ip {TABLE}\ntable ip {TABLE} {{\n"
        f"  chain services {{\n{nat}  }}\n"
        "  chain prerouting {\n    type nat hook prerouting priority dstnat;\n    jump services\n  }\n"
        "  chain output {\n    type nat hook output priority -100;\n    jump services\n  }\n"
        f"  chain postrouting {{\n    type nat hook postrouting priority srcnat;\n{hairpin}  }}\n"
        f"  chain forward {{\n    type filter hook forward priority filter;\n{reject}  }}\n"
        f"  chain refused {{\n    type filter hook output priority filter;\n{reject}  }}\n"
        "}\n"
    )


def _match(each: ServicePort) -> str:
    return f"ip daddr {each.address} {each.protocol} dport {each.port}"


def _balance(each: ServicePort) -> str:
    if len(each.ends) == 1:
        address, port = each.ends[0]
        return f"dnat to {address}:{port}"
    choices = ", ".join(f"{number} : {address} . {port}" for number, (address, port) in enumerate(each.ends))
    return f"dnat ip to numgen random mod {len(each.ends)} map {{ {choices} }}"


async def load(rules: str) -> None:
    """Load a ruleset in one transaction; raise `EnvironmentFaultError` with nft's own words."""
    try:
        nft = await asyncio.create_subprocess_exec(
            "nft", "-f", "-", stdin=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
    except FileNotFoundError:
        raise EnvironmentFaultError("the sandbox needs the program nft", "apt install nftables") from None
    _, errors = await nft.communicate(rules.encode())
    if nft.returncode:
        lines = errors.decode(errors="replace").strip().splitlines() or [f"exit code {nft.returncode}"]
        raise EnvironmentFaultError(f"nft refused the rules of the Services: {lines[0]}")
