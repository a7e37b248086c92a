"""The Service proxy: keeps the node's NAT rules in step with Services and EndpointSlices, as kube-proxy does."""

from __future__ import annotations

import asyncio
import sys
from ipaddress import IPv4Address
from typing import TYPE_CHECKING

from kttun.errors import EnvironmentFaultError
from kttun.sandbox.addresses import HEADLESS
from kttun.sandbox.controllers.endpoints import SERVICE_NAME
from kttun.sandbox.kinds import ENDPOINT_SLICES, SERVICES
from kttun.sandbox.nat import ServicePort, load, ruleset

if TYPE_CHECKING:
    from kttun.sandbox.shape import Shape
    from kttun.sandbox.store import Object, Store

PROTOCOLS = frozenset({"TCP", "UDP"})


class ServiceProxy:
    """`sync` is called as a controller and only notes what shall be; `run` makes it so, which takes time."""

    kinds = (SERVICES, ENDPOINT_SLICES)

    def __init__(self, store: Store, shape: Shape) -> None:
        self._store = store
        self._shape = shape
        self._wanted, self._loaded = "", ""
        self._news = asyncio.Event()
        self._settled = asyncio.Event()

    def sync(self) -> None:
        """Compute the rules that should be in force."""
        self._wanted = ruleset(service_ports(self._store), str(self._shape.service_cidr))
        if self._wanted != self._loaded:
            self._settled.clear()
            self._news.set()

    async def run(self) -> None:
        """Load what `sync` has noted, without end. Raises `EnvironmentFaultError` when even the first is refused."""
        while True:
            await self._news.wait()
            self._news.clear()
            rules = self._wanted
            try:
                await load(rules)
            except EnvironmentFaultError as error:
                if not self._loaded:
                    raise
                sys.stderr.write(f"{error.message}\n")
                continue  # the rules before stay in force, until the next change
            self._loaded = rules
            if rules == self._wanted:
                self._settled.set()

    async def settled(self) -> None:
        """Wait until the rules in force are those of the store as it is now."""
        self.sync()
        await self._settled.wait()


def service_ports(store: Store) -> list[ServicePort]:
    """Give all TCP and UDP ports of all Services that have an address, with the ready ends behind each."""
    slices: dict[tuple[str, str], list[Object]] = {}
    for each in store.list(ENDPOINT_SLICES):
        meta = each["metadata"]
        service = (meta.get("labels") or {}).get(SERVICE_NAME, "")
        slices.setdefault((meta["namespace"], service), []).append(each)
    return [
        ServicePort(
            service["spec"]["clusterIP"],
            port.get("protocol", "TCP").lower(),
            port["port"],
            _ends(slices.get((service["metadata"]["namespace"], service["metadata"]["name"]), []), port),
        )
        for service in store.list(SERVICES)
        if service["spec"]["clusterIP"] != HEADLESS
        for port in service["spec"].get("ports") or ()
        if port.get("protocol", "TCP") in PROTOCOLS
    ]


def _ends(slices: list[Object], port: Object) -> tuple[tuple[str, int], ...]:
    """Give the ends that serve a Service's port: a slice knows it by its name."""
    return tuple(
        sorted(
            (address, number["port"])
            for each in slices
            for number in each.get("ports") or ()
            if (number.get("name") or "") == port.get("name", "")
            for end in each.get("endpoints") or ()
            if (end.get("conditions") or {}).get("ready", True)
            for address in end["addresses"]
            if _is_ipv4(address)
        )
    )


def _is_ipv4(text: str) -> bool:
    """Tell whether an end can be reached here: anybody may write anything into a slice."""
    try:
        IPv4Address(text)
    except ValueError:
        return False
    return True
