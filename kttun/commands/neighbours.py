"""Other sessions of this machine whose networks meet ours.

Two namespaces of one cluster have the same networks, and both sessions live side by side (`kttun.host.netlink`). With
another cluster behind the same addresses nobody could tell any more which of them answers, and another user's new
connections would pass through our gateway: both are refused.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from kttun.commands.sessions import found_sessions
from kttun.errors import KttunError, RefusedError
from kttun.host.lookup import networks_of_sessions
from kttun.routing.cidrset import CidrSet, subtract

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kttun.config import Network
    from kttun.routing.plan import RoutePlan


def side_by_side(plan: RoutePlan, server: str, own: str) -> list[str]:
    """Give the names of the sessions with `server` that route a part of `plan` as well; `own` is our TUN's name.

    Raises `RefusedError` when a session does whose server is another one, or cannot be known to us.
    """
    met = {device: _shared(networks, plan) for device, networks in networks_of_sessions().items() if device != own}
    known = _known_by_device() if any(met.values()) else {}
    return [_same_cluster(device, shared[0], known.get(device), server) for device, shared in met.items() if shared]


def _same_cluster(device: str, shared: Network, session: tuple[str, str] | None, server: str) -> str:
    if session is None:
        raise RefusedError(
            f"a session that does not answer us has {shared} already ({device}, of another user?)",
            f"wait for its end, or keep it out of the tunnel: --exclude {shared}",
        )
    name, other = session
    if other != server:
        raise RefusedError(
            f"session {name} with {other} has {shared} already ({device})",
            f"end it first: kttun down --session {name}",
            f"or keep it out of the tunnel: --exclude {shared}",
        )
    return name


def _known_by_device() -> dict[str, tuple[str, str]]:
    """Give name and server of each session that answers us, by its device."""
    found: dict[str, tuple[str, str]] = {}
    for session in found_sessions():
        with suppress(KttunError):
            status = session.ask("status")
            found[str(status.get("interface"))] = session.name, str(status.get("server"))
    return found


def _shared(networks: Iterable[Network], plan: RoutePlan) -> list[Network]:
    """Give the blocks that are routed by `networks` and by the plan, whole ones and sorted."""
    routes, throws = CidrSet(plan.routes), plan.throws
    blocks: list[Network] = []
    for cidr in networks:
        blocks += [cidr] if routes.outermost_around(cidr) else routes.inside(cidr)
    return [block for block in blocks if subtract(block, throws)]
