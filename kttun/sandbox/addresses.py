"""Cluster addresses of Services: given out, checked and refused as the API server does.

Texts: `k8s.io/kubernetes` pkg/registry/core/service/ipallocator (seen on 1.34, also with dry runs).
"""

from __future__ import annotations

import secrets
from ipaddress import IPv4Network, ip_address
from typing import TYPE_CHECKING, Any

from kttun.sandbox.kinds import SERVICES
from kttun.sandbox.status import internal, invalid

if TYPE_CHECKING:
    from kttun.sandbox.store import Store

HEADLESS = "None"


class ServiceAddresses:
    """Hands out addresses of `network`; taken is what a Service in the store has, so nothing has to be given back."""

    def __init__(self, store: Store, network: IPv4Network) -> None:
        self._store, self.network = store, network

    def assign(self, service: dict[str, Any]) -> None:
        """Fill in the addresses of a new Service. Raises `StatusError` 422 for one that it cannot have."""
        spec, name = service["spec"], service["metadata"]["name"]
        families = spec.get("ipFamilies") or ["IPv4"]
        if families != ["IPv4"]:
            index = next(place for place, family in enumerate(families) if family != "IPv4" or place)
            why = f'Invalid value: "{families[index]}": not configured on this cluster'
            raise invalid(SERVICES, name, f"spec.ipFamilies[{index}]", why)
        spec |= {"ipFamilies": families, "ipFamilyPolicy": "SingleStack"}
        wanted = spec.get("clusterIP") or ""
        if wanted != HEADLESS:
            wanted = self._checked(name, wanted) if wanted else self._free()
        spec |= {"clusterIP": wanted, "clusterIPs": [wanted]}

    def _taken(self) -> set[str]:
        return {service["spec"].get("clusterIP", "") for service in self._store.list(SERVICES)}

    def _checked(self, name: str, wanted: str) -> str:
        try:
            address = ip_address(wanted)
        except ValueError:
            why = f'Invalid value: "{wanted}": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)'
            raise invalid(SERVICES, name, "spec.clusterIPs[0]", why) from None
        why = ""
        if address not in self.network:
            ranges = f"The range of valid IPs is {self.network}"
            why = f"the provided IP ({address}) is not in the valid range. {ranges}"
        elif str(address) in self._taken():
            why = "provided IP is already allocated"
        if why:
            what = f'Invalid value: ["{address}"]: failed to allocate IP {address}: {why}'
            raise invalid(SERVICES, name, "spec.clusterIPs", what)
        return str(address)

    def _free(self) -> str:
        taken, last = self._taken(), self.network.num_addresses - 2
        begin = secrets.randbelow(last)
        for step in range(last):
            address = str(self.network[1 + (begin + step) % last])
            if address not in taken:
                return address
        raise internal("failed to allocate a serviceIP: range is full")
