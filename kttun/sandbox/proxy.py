"""The Service proxy: keeps the node's NAT rules in step with Services and Endpoints, as kube-proxy does.

Sources: Kubernetes "Virtual IPs and Service Proxies"; what happens to an address without anybody behind it is what
kube-proxy's nftables mode does (pkg/proxy/nftables): ports without a ready pod and ports that the Service does not have
are refused. A pod that reaches itself by way of a Service must see another address than its own, or it would answer
itself directly: that alone is masqueraded.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import TYPE_CHECKING

from kttun.errors import EnvironmentFaultError
from kttun.sandbox.addresses import HEADLESS
from kttun.sandbox.kinds import ENDPOINTS, SERVICES

if TYPE_CHECKING:
    from collections.abc import Iterable
    from ipaddress import IPv4Network

    from kttun.sandbox.store import Object, Store

TABLE = "kttun-sandbox"
PROTOCOLS = frozenset({"TCP", "UDP"})


@dataclass(frozen=True, slots=True, order=True)
class ServicePort:
    """One port of one Service address and the pods' ends behind it, as (address, port)."""

    address: str
    protocol: str
    """`tcp` or `udp`."""
    port: int
    ends: tuple[tuple[str, int], ...]


class ServiceProxy:
    """A controller of what the kernel does; `services` is the range of Service addresses."""

    kinds = (SERVICES, ENDPOINTS)

    def __init__(self, store: Store, services: IPv4Network) -> None:
        self._store, self._services = store, str(services)
        self._loaded = ""

    def sync(self) -> None:
        """Load the rules that should be in force, if they are not: some milliseconds, in which all else waits.

        Raises `EnvironmentFaultError`.
        """
        rules = ruleset(service_ports(self._store), self._services)
        if rules != self._loaded:
            _load(rules)
            self._loaded = rules


def service_ports(store: Store) -> list[ServicePort]:
    """Give all TCP and UDP ports of all Services that have an address, with the ends behind each."""
    return [
        ServicePort(
            service["spec"]["clusterIP"],
            port["protocol"].lower(),
            port["port"],
            _ends(store.find(ENDPOINTS, service["metadata"]["namespace"], service["metadata"]["name"]) or {}, port),
        )
        for service in store.list(SERVICES)
        if service["spec"]["clusterIP"] != HEADLESS
        for port in service["spec"].get("ports") or ()
        if port["protocol"] in PROTOCOLS
    ]


def ruleset(ports: Iterable[ServicePort], services: str) -> str:
    """Give the nft rules for all ports; `services` is the range of Service addresses (a CIDR).

    Adding the table first makes deleting it safe when it is not there, so loading is idempotent.
    """
    found = sorted(ports)
    nat = "".join(f"    {_match(each)} {_balance(each)}\n" for each in found if each.ends)
    own = sorted({address for each in found for address, _ in each.ends})
    hairpin = "".join(f"    ct status dnat ip saddr {address} ip daddr {address} masquerade\n" for address in own)
    reject = f"    ip daddr {services} ct status ! dnat ct state new reject\n"
    return (
        f"table ip {TABLE}\ndelete table ip {TABLE}\ntable ip {TABLE} {{\n"
        f"  chain services {{\n{nat}  }}\n"
        "  chain prerouting {\n    type nat hook prerouting priority dstnat;\n    jump services\n  }\n"
        "  chain output {\n    type nat hook output priority -100;\n    jump services\n  }\n"
        f"  chain postrouting {{\n    type nat hook postrouting priority srcnat;\n{hairpin}  }}\n"
        f"  chain forward {{\n    type filter hook forward priority filter;\n{reject}  }}\n"
        f"  chain refused {{\n    type filter hook output priority filter;\n{reject}  }}\n"
        "}\n"
    )


def _match(each: ServicePort) -> str:
    return f"ip daddr {each.address} {each.protocol} dport {each.port}"


def _balance(each: ServicePort) -> str:
    if len(each.ends) == 1:
        address, port = each.ends[0]
        return f"dnat to {address}:{port}"
    choices = ", ".join(f"{number} : {address} . {port}" for number, (address, port) in enumerate(each.ends))
    return f"dnat ip to numgen random mod {len(each.ends)} map {{ {choices} }}"


def _ends(endpoints: Object, port: Object) -> tuple[tuple[str, int], ...]:
    """Give the ends that serve a Service's port: Endpoints know it by its name."""
    return tuple(
        sorted(
            (end["ip"], number["port"])
            for subset in endpoints.get("subsets") or ()
            for number in subset.get("ports") or ()
            if (number.get("name") or "") == port.get("name", "")
            for end in subset.get("addresses") or ()
            if _is_ipv4(end["ip"])
        )
    )


def _is_ipv4(text: str) -> bool:
    """Tell whether an end can be reached here: anybody may write anything into Endpoints."""
    try:
        IPv4Address(text)
    except ValueError:
        return False
    return True


def _load(rules: str) -> None:
    """Load a ruleset in one transaction; raise `EnvironmentFaultError` with nft's own words."""
    try:
        done = subprocess.run(["nft", "-f", "-"], input=rules, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise EnvironmentFaultError("the sandbox needs the program nft", "apt install nftables") from None
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise EnvironmentFaultError(f"nft refused the rules of the Services: {lines[0]}")
