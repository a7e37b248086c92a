"""What a session stands on: the login, what the cluster told of its networks, and what this machine must not lose."""

from __future__ import annotations

import os
from dataclasses import dataclass
from ipaddress import ip_network
from typing import TYPE_CHECKING

from kttun.cluster.discovery import Discovery, api_addresses, discover
from kttun.cluster.login import Login, log_in
from kttun.cluster.rights import check_rights
from kttun.commands.names import dns_servers
from kttun.commands.surroundings import Surroundings, is_own, look_around
from kttun.config import RoutesMode
from kttun.routing.plan import PlannedRoute, RoutePlan, RouteRequest, plan_routes

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kttun.commands.console import Console
    from kttun.config import Network, RouteChoice, UpConfig
    from kttun.rendezvous import GatewayReport


@dataclass(frozen=True, slots=True)
class Ground:
    """Nothing here is changed any more, only looked at; `plan` may be made again when more is known."""

    login: Login
    found: Discovery
    around: Surroundings
    choice: RouteChoice

    def plan(self, from_gateway: Iterable[PlannedRoute] = (), cluster_dns: Iterable[Network] = ()) -> RoutePlan:
        """Plan the routes from all that is known."""
        return plan_routes(
            RouteRequest(
                choice=self.choice,
                discovered=(*self.found.services, *self.found.pods, *from_gateway),
                protected=self.around.protected,
                connected=self.around.connected,
                existing=self.around.existing,
                cluster_dns=tuple(cluster_dns),
            )
        )

    def plan_with(self, report: GatewayReport, pod: str) -> RoutePlan:
        """Plan again with what the gateway pod sees: its networks, often the pod range of its node, and its DNS.

        A DNS server at an address that this machine has itself is left out: the machine may be a node of the cluster.
        """
        servers = [ip_network(address) for address in dns_servers(report) if not is_own(address)]
        if self.choice.mode is RoutesMode.ADDRESSES or self.choice.pod_cidrs:
            return self.plan(cluster_dns=servers)
        return self.plan((PlannedRoute(ip_network(cidr), f"gateway pod {pod}") for cidr in report.networks), servers)


def survey(config: UpConfig, console: Console) -> Ground:
    """Log in, check rights, ask for the cluster's networks and look around here; changes nothing.

    Raises `KttunError`.
    """
    with console.step("kubeconfig") as step:
        login = log_in(config.cluster, os.environ)
        step.outcome = f"namespace {login.namespace} of context {login.context} at {login.server}"
    with console.step("rights") as step:
        missing = check_rights(login)
        step.outcome = f"all but the optional {', '.join(missing)}" if missing else "complete"
    with console.step("discovery") as step:
        found = discover(login, config.routes)
        around = look_around(api_addresses(login.endpoint))
        sources = dict.fromkeys(route.source for route in (*found.services, *found.pods))
        step.outcome = ", ".join(sources) or "nothing but what the gateway will see"
    for note in found.notes:
        console.detail(note)
    return Ground(login, found, around, config.routes)
