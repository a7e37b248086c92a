"""Which addresses Services get, for somebody who may perhaps only create one, and creates none.

Three ways, best first:

1. ServiceCIDR objects (networking.k8s.io, v1 since Kubernetes 1.33, v1beta1 in 1.31 and 1.32): the truth, but cluster
   scoped, so namespace roles cannot grant it.
2. A dry-run create of a Service whose clusterIP is surely out of range. The refusal ends in "The range of valid IPs is
   10.96.0.0/16" (seen on 1.34; `k8s.io/kubernetes` pkg/registry/core/service/ipallocator).
3. Where an API server leaves that text out, a dry run without clusterIP yields an address inside, and further dry runs
   tell whether other addresses are inside too: a binary search over the bits finds the prefix in five or six calls.
"""

from __future__ import annotations

import re
from http import HTTPStatus
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING, Any

from kttun.cluster.errors import ApiError, mapped
from kttun.routing.plan import PlannedRoute

if TYPE_CHECKING:
    from collections.abc import Callable

    from kttun.cluster.rest import Rest
    from kttun.config import Network

    Address = IPv4Address | IPv6Address

OUTSIDE = {4: "192.0.2.1", 6: "2001:db8::1"}
"""Addresses for documentation (RFC 5737, RFC 3849): no cluster uses them for Services."""

LARGEST_BITS = {4: 24, 6: 64}
"""Most host bits that a range is believed to have; Kubernetes itself allows 20 for IPv4 and 64 for IPv6."""

TRIES = 3
"""How often to ask for an address: of several ranges each dry run picks one at random."""

_RANGE = re.compile(r"range of valid IPs is ([0-9a-fA-F.:]+/\d+)")


def service_ranges(rest: Rest, namespace: str) -> tuple[tuple[PlannedRoute, ...], tuple[str, ...]]:
    """Give the ranges and who said so, and notes on what could not be asked. Raises `UnreachableError`."""
    try:
        if found := _from_objects(rest):
            return found, ()
        note = "no ServiceCIDR objects in this cluster"
    except ApiError as error:
        note = error.message
    try:
        found = tuple(route for family in (4, 6) for route in _by_dry_run(rest, namespace, family))
    except ApiError as error:
        return (), (note, error.message)
    return found, () if found else (note, "the API server's dry runs did not tell the range of Services")


def _from_objects(rest: Rest) -> tuple[PlannedRoute, ...]:
    """Read the ServiceCIDR objects; none where the API does not have them. Raises `ApiError` where we may not."""
    for version in ("v1", "v1beta1"):
        try:
            with mapped("read ServiceCIDRs", verb="list", resource="servicecidrs.networking.k8s.io"):
                items = list(rest.items(f"/apis/networking.k8s.io/{version}/servicecidrs"))
        except ApiError as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise
            continue
        return tuple(
            PlannedRoute(ip_network(cidr, strict=False), f"ServiceCIDR {item['metadata']['name']}")
            for item in items
            for cidr in item.get("spec", {}).get("cidrs") or ()
        )
    return ()


def _by_dry_run(rest: Rest, namespace: str, family: int) -> tuple[PlannedRoute, ...]:
    try:
        _probe(rest, namespace, family, OUTSIDE[family])
    except ApiError as error:
        if told := _told(error.said):
            return (PlannedRoute(told, "answer to a dry run"),)
        if not _is_invalid(error):
            raise
        if "not configured on this cluster" in error.said:
            return ()
    return tuple(PlannedRoute(cidr, "dry runs") for cidr in _searched(rest, namespace, family))


def _told(said: str) -> Network | None:
    match = _RANGE.search(said)
    network = ip_network(match[1], strict=False) if match else None
    if network is None or network.max_prefixlen - network.prefixlen > LARGEST_BITS[network.version]:
        return None
    return network


def _searched(rest: Rest, namespace: str, family: int) -> list[Network]:
    found: list[Network] = []

    def inside(address: Address) -> bool:
        try:
            _probe(rest, namespace, family, str(address))
        except ApiError as error:
            if not _is_invalid(error):
                raise
            return "already allocated" in error.said
        return True

    for _ in range(TRIES):
        try:
            member = ip_address(_probe(rest, namespace, family, None)["spec"]["clusterIP"])
        except (ApiError, KeyError, ValueError):
            break
        if not any(member in network for network in found):
            found.append(widest(member, inside))
    return found


def widest(member: Address, inside: Callable[[Address], bool]) -> Network:
    """Give the aligned network round `member`, by a binary search for its size with questions to `inside`.

    The addresses asked about differ from `member` in one bit and end in binary 01, so that none is the network's first
    or last, which some allocators hold back.
    """
    low, high = 2, LARGEST_BITS[member.version]  # host bits: at least `low`, at most `high`
    while low < high:
        bit = (low + high) // 2
        value = (int(member) ^ 1 << bit) & ~3 | 1
        if inside(type(member)(value)):
            low = bit + 1
        else:
            high = bit
    return ip_network((member, member.max_prefixlen - low), strict=False)


def _is_invalid(error: ApiError) -> bool:
    return error.status == HTTPStatus.UNPROCESSABLE_ENTITY


def _probe(rest: Rest, namespace: str, family: int, address: str | None) -> dict[str, Any]:
    spec: dict[str, Any] = {"ports": [{"port": 1}], "ipFamilyPolicy": "SingleStack", "ipFamilies": [f"IPv{family}"]}
    if address is not None:
        spec["clusterIP"] = address
    body = {"apiVersion": "v1", "kind": "Service", "metadata": {"generateName": "kttun-probe-"}, "spec": spec}
    with mapped("try out a Service", verb="create", resource="services", namespace=namespace):
        return rest.create(f"/api/v1/namespaces/{namespace}/services", body, dryRun="All")
