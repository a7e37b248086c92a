"""Readiness probes as the kubelet makes them, from the node to the pod's address: httpGet and tcpSocket."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

FIRST_S = 0.02
"""How often to try until the first success; a kubelet waits a whole period, here everything is near."""


def port_number(container: dict[str, Any], port: int | str) -> int:
    """Give the number of a port that may be named; 0 for a name that the container does not have."""
    if isinstance(port, int) or port.isdecimal():
        return int(port)
    named = (each["containerPort"] for each in container.get("ports") or () if each.get("name") == port)
    return next(named, 0)


async def keep_probing(container: dict[str, Any], address: str, tell: Callable[[bool], None]) -> None:
    """Probe for as long as the container runs, and tell each change of its readiness; without a probe it is ready.

    Kinds of probe that are not known here (exec, grpc) count as no probe.
    """
    probe = container.get("readinessProbe") or {}
    if not ("httpGet" in probe or "tcpSocket" in probe):
        tell(True)  # noqa: FBT003 - the one word that it takes
        return
    await asyncio.sleep(probe.get("initialDelaySeconds") or 0)
    ready, failures = False, 0
    while True:
        succeeded = False
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(probe.get("timeoutSeconds") or 1):
                succeeded = await _succeeds(container, probe, address)
        failures = 0 if succeeded else failures + 1
        if succeeded != ready and (succeeded or failures >= (probe.get("failureThreshold") or 3)):
            ready = succeeded
            tell(ready)
        await asyncio.sleep((probe.get("periodSeconds") or 10) if ready else FIRST_S)


async def _succeeds(container: dict[str, Any], probe: dict[str, Any], address: str) -> bool:
    get = probe.get("httpGet")
    where = get or probe["tcpSocket"]
    reader, writer = await asyncio.open_connection(where.get("host") or address, port_number(container, where["port"]))
    try:
        if not get:
            return True
        request = f"GET {get.get('path') or '/'} HTTP/1.1\r\nHost: {address}\r\nUser-Agent: kube-probe/kttun\r\n"
        writer.write(f"{request}Connection: close\r\n\r\n".encode())
        words = (await reader.readline()).split()
        return len(words) > 1 and words[1].isdigit() and HTTPStatus.OK <= int(words[1]) < HTTPStatus.BAD_REQUEST
    finally:
        writer.close()
