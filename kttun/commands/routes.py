"""`kttun routes`: of the running session, or computed from options alone (`--plan`)."""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from kttun.commands.plan_text import plan_lines
from kttun.commands.sessions import the_session
from kttun.errors import UsageError
from kttun.routing.plan import ConnectedNetwork, ExcludedRoute, RouteRequest, plan_routes

if TYPE_CHECKING:
    from argparse import Namespace

    from kttun.commands.console import Console


def run(options: Namespace, _console: Console) -> int:
    """Print what goes where and which source said so."""
    plan = _computed(options) if options.plan else the_session(options).ask("routes")
    if options.json:
        print(json.dumps(plan))
    else:
        sys.stdout.writelines(f"{line}\n" for line in plan_lines(plan))
    return 0


def _computed(options: Namespace) -> dict[str, Any]:
    """Compute a plan without a cluster: a server that is a name is left out, since nothing is looked up."""
    protected: tuple[ExcludedRoute, ...] = ()
    if options.server:
        address = _server_address(options.server)
        protected = (ExcludedRoute(ip_network(address), "API server"),) if address else ()
    connected = tuple(ConnectedNetwork(cidr, "--connected") for cidr in options.connected)
    return plan_routes(RouteRequest(choice=options.choice, protected=protected, connected=connected)).to_json()


def _server_address(url: str) -> Any:
    with suppress(ValueError):
        return ip_address(url)  # a bare IPv6 address would be cut at its first colon below
    try:
        host = urlsplit(url if "://" in url else f"https://{url}").hostname
    except ValueError as error:
        raise UsageError(f"--server '{url}' is not a URL: {error}", "--server https://HOST:PORT") from None
    if not host:
        raise UsageError(f"--server '{url}' names no host", "--server https://HOST:PORT")
    try:
        return ip_address(host)
    except ValueError:
        return None
