"""Readiness probes as the kubelet makes them, from the node to the pod's address: httpGet and tcpSocket."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

PAUSE_S, PATIENCE_S = 0.02, 1.0
"""Between two tries, where a kubelet waits a whole period since nothing is near; how long one may take."""


def port_number(container: dict[str, Any], port: int | str) -> int:
    """Give the number of a port that may be named; 0 for a name that the container does not have."""
    if isinstance(port, int) or port.isdecimal():
        return int(port)
    named = (each["containerPort"] for each in container.get("ports") or () if each.get("name") == port)
    return next(named, 0)


async def until_ready(container: dict[str, Any], address: str) -> None:
    """Wait until the probe has succeeded once; without one, or with one of another kind, a container is ready."""
    probe = container.get("readinessProbe") or {}
    while "httpGet" in probe or "tcpSocket" in probe:
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(PATIENCE_S):
                if await _succeeds(container, probe, address):
                    return
        await asyncio.sleep(PAUSE_S)


async def _succeeds(container: dict[str, Any], probe: dict[str, Any], address: str) -> bool:
    get = probe.get("httpGet")
    reader, writer = await asyncio.open_connection(address, port_number(container, (get or probe["tcpSocket"])["port"]))
    try:
        if not get:
            return True
        writer.write(f"GET {get.get('path') or '/'} HTTP/1.0\r\nHost: {address}\r\n\r\n".encode())
        words = (await reader.readline()).split()
        return len(words) > 1 and b"200" <= words[1] < b"400"
    finally:
        writer.close()
