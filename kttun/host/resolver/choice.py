"""Pick the way to the host's resolver: the one asked for, or the gentlest that works here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kttun.config import DnsMode
from kttun.errors import EnvironmentFaultError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kttun.host.resolver.method import Method


def choose(mode: DnsMode, methods: Sequence[Method]) -> Method:
    """Return the first of `methods` that is named by `mode` (AUTO: any) and works on this machine.

    Raises EnvironmentFaultError with what stands against each.
    """
    asked = [method for method in methods if mode in (DnsMode.AUTO, method.name)]
    obstacles: list[str] = []
    for method in asked:
        obstacle = method.obstacle()
        if obstacle is None:
            return method
        obstacles.append(f"{method.name}: {obstacle}")
    raise EnvironmentFaultError(
        f"no way to give the host's resolver the cluster's names ({'; '.join(obstacles)})",
        "--dns off does without names; addresses work",
    )
