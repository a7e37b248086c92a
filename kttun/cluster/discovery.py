"""What the cluster's networks are, as far as this user may know; each route with its source.

Ranges are best, since they hold for what is made later too. Where the user may not read them, the addresses that stand
in the namespace now are taken one by one. Pods on the host's own network never count: their addresses are the nodes',
and often the way to the API server.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING, Any

from kttun.cluster.errors import ApiError, mapped
from kttun.cluster.rest import Rest
from kttun.cluster.service_range import service_ranges
from kttun.config import RoutesMode
from kttun.errors import EnvironmentFaultError
from kttun.routing.plan import PlannedRoute

if TYPE_CHECKING:
    from kttun.cluster.login import Login
    from kttun.config import ApiEndpoint, RouteChoice

Routes = tuple[PlannedRoute, ...]
Notes = tuple[str, ...]

GONE = frozenset({"Succeeded", "Failed"})
"""Phases of pods whose address may belong to another pod by now (core/v1 PodPhase)."""


@dataclass(frozen=True, slots=True)
class Discovery:
    """What was found; `notes` say, for people, what could not be asked and what was taken instead."""

    services: Routes
    pods: Routes
    notes: Notes


def discover(login: Login, choice: RouteChoice) -> Discovery:
    """Ask the API server; of what the user named himself (`--service-cidr`, `--pod-cidr`) nothing is asked.

    Raises `EnvironmentFaultError` only when the API server cannot be reached or refuses the credentials.
    """
    rest = Rest(login.api)
    wanted = choice.mode is not RoutesMode.ADDRESSES
    services, service_notes = _services(rest, login.namespace, ranges=wanted) if not choice.service_cidrs else ((), ())
    pods, pod_notes = _pods(rest, login.namespace, ranges=wanted) if not choice.pod_cidrs else ((), ())
    return Discovery(services, pods, (*service_notes, *pod_notes))


def _services(rest: Rest, namespace: str, *, ranges: bool) -> tuple[Routes, Notes]:
    routes, notes = service_ranges(rest, namespace) if ranges else ((), ())
    if routes:
        return routes, notes
    try:
        with mapped("list Services", verb="list", resource="services", namespace=namespace):
            items = list(rest.items(f"/api/v1/namespaces/{namespace}/services"))
    except ApiError as error:
        return (), (*notes, error.message)
    found = [
        PlannedRoute(ip_network(address), f"Service {item['metadata']['name']}")
        for item in items
        for address in _addresses(item.get("spec", {}).get("clusterIPs") or [item.get("spec", {}).get("clusterIP")])
    ]
    return tuple(found), (*notes, f"only the addresses of the Services of {namespace}, as they are now")


def _pods(rest: Rest, namespace: str, *, ranges: bool) -> tuple[Routes, Notes]:
    routes, notes = _of_nodes(rest) if ranges else ((), ())
    try:
        addresses = _of_pods(rest, namespace)
    except ApiError as error:
        return routes, (*notes, error.message)
    uncovered = tuple(each for each in addresses if not any(_within(each, route) for route in routes))
    if not routes:
        return addresses, (*notes, f"only the addresses of the pods of {namespace}, as they are now")
    if not uncovered:
        return routes, notes
    if len(uncovered) == len(addresses):
        routes = ()
    return (*routes, *uncovered), (
        *notes,
        "the nodes' podCIDRs are not where pods are: the network plug-in has its own",
    )


def _of_nodes(rest: Rest) -> tuple[Routes, Notes]:
    """Read `podCIDRs`: what the controller manager gave each node, which most network plug-ins go by."""
    try:
        with mapped("list nodes", verb="list", resource="nodes"):
            nodes = list(rest.items("/api/v1/nodes"))
    except ApiError as error:
        return (), (error.message,)
    routes = tuple(
        PlannedRoute(ip_network(cidr, strict=False), f"podCIDR of node {node['metadata']['name']}")
        for node in nodes
        for cidr in node.get("spec", {}).get("podCIDRs") or ()
    )
    return routes, () if routes else ("the nodes have no podCIDRs",)


def _of_pods(rest: Rest, namespace: str) -> Routes:
    with mapped("list pods", verb="list", resource="pods", namespace=namespace):
        pods = list(rest.items(f"/api/v1/namespaces/{namespace}/pods"))
    return tuple(
        PlannedRoute(ip_network(address), f"pod {pod['metadata']['name']}")
        for pod in pods
        if not pod.get("spec", {}).get("hostNetwork") and pod.get("status", {}).get("phase") not in GONE
        for address in _addresses(each.get("ip") for each in pod.get("status", {}).get("podIPs") or ())
    )


def _addresses(texts: Any) -> list[IPv4Address | IPv6Address]:
    """Take the addresses out of what may also be empty, or "None" for a headless Service."""
    return [ip_address(text) for text in texts if text and text != "None"]


def _within(address: PlannedRoute, network: PlannedRoute) -> bool:
    return address.cidr.version == network.cidr.version and address.cidr.network_address in network.cidr


def api_addresses(endpoint: ApiEndpoint) -> tuple[IPv4Address | IPv6Address, ...]:
    """Give every address of the API server, and of the proxy in front of it; none of them may enter the tunnel.

    Behind a proxy the server's own name need not be known here. Raises `EnvironmentFaultError` when a name that is
    needed cannot be resolved.
    """
    found: dict[IPv4Address | IPv6Address, None] = {}
    needed = endpoint.proxy.host if endpoint.proxy else endpoint.host
    for host in dict.fromkeys((needed, endpoint.host)):
        try:
            answers = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        except OSError as error:
            if host == needed:
                raise EnvironmentFaultError(f"the name {host} of the API server cannot be resolved") from error
            continue
        found |= {ip_address(str(answer[4][0]).partition("%")[0]): None for answer in answers}
    return tuple(found)
