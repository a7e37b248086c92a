"""A `RoutePlan` as lines for people; `routes` and `up --dry-run` print them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any


def plan_lines(plan: Mapping[str, Any]) -> Iterator[str]:
    """Yield one line a route of a plan's JSON form: what enters the tunnel, what stays out and why, what clashes."""
    for route in plan["tunnel"]:
        yield f"tunnel    {route['cidr']:<20} {route['source']}"
    for route in plan["excluded"]:
        yield f"excluded  {route['cidr']:<20} {route['reason']}"
    for route in plan["conflicts"]:
        yield f"conflict  {route['cidr']:<20} {route['device']} ({route['owner']})"
