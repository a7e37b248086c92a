"""The addresses inside the tunnel: one pair a family, taken from ranges that nobody else should be using.

IPv4 from 198.18.0.0/15, set aside for benchmarks between networks (RFC 2544 section C.2.2, RFC 6890), so neither a
LAN, a VPN nor a cluster should hold it; 100.64.0.0/10 would collide with carrier NAT, Tailscale and some clouds' pods.
IPv6 from a locally assigned unique range (RFC 4193 section 3.2).
"""

from __future__ import annotations

from ipaddress import IPv4Interface, IPv4Network, IPv6Interface, IPv6Network
from typing import TYPE_CHECKING

from kttun.errors import RefusedError

if TYPE_CHECKING:
    from collections.abc import Iterable

    Network = IPv4Network | IPv6Network
    Interface = IPv4Interface | IPv6Interface

POOL4 = IPv4Network("198.18.0.0/15")
POOL6 = IPv6Network("fd6b:7474:756e::/48")
_TRIES = 64
_WIDER = 3
"""A route to more than 8 times a pool is a part of a default route (VPNs: 128.0.0.0/1, fc00::/7), and no use of it."""


def inner_addresses(
    session_id: bytes, taken: Iterable[Network]
) -> tuple[tuple[Interface, Interface], tuple[Interface, Interface]]:
    """Give (laptop, gateway) addresses as interfaces, IPv4 then IPv6, that overlap nothing in `taken`.

    Where in the pools follows from the random 16-byte `session_id`, so sessions rarely meet. Raises `RefusedError`
    when the machine uses so much of a pool that no free pair was found.
    """
    taken = list(taken)
    seed = int.from_bytes(session_id)
    return _pair(POOL4, 30, seed, taken), _pair(POOL6, 126, seed, taken)


def _pair(pool: Network, prefix: int, seed: int, taken: list[Network]) -> tuple[Interface, Interface]:
    size = 1 << (pool.max_prefixlen - prefix)
    slots = 1 << (prefix - pool.prefixlen)
    make = IPv4Interface if isinstance(pool, IPv4Network) else IPv6Interface
    used = [each for each in taken if each.version == pool.version and each.prefixlen >= pool.prefixlen - _WIDER]
    stride = slots * 618 // 1000 | 1  # the golden section: each try falls into a gap that the tries before it left
    for attempt in range(_TRIES):
        base = pool[((seed + attempt * stride) % slots) * size]
        first, second = make((int(base) + 1, prefix)), make((int(base) + 2, prefix))
        if not any(first.network.overlaps(network) for network in used):
            return first, second
    raise RefusedError(
        f"no free addresses for the tunnel in {pool}", "a route of this machine covers it: see ip route show table all"
    )
