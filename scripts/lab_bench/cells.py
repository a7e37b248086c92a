"""The measurements: each takes an open path and a length in seconds and returns one record of plain numbers."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from statistics import quantiles
from typing import TYPE_CHECKING, Any

from lab_bench import cpu
from lab_bench.places import LAPTOP, ends, output

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab_bench.paths import Target

    Cell = Callable[[Target, float], dict[str, Any]]

SPARE_S = 45.0
RPC_IDLE, RPC_LOADED = 1000, 60
PING_GAP_S = 0.02
UDP_CELLS = {"64 B": (64, 0), "1400 B": (1400, 0), "64 B, 20 kpps": (64, 10.24), "1400 B, 10 kpps": (1400, 112)}
"""Size in bytes, and rate in Mbit/s; 0: as fast as it goes."""

TIME = re.compile(r"time=([\d.]+) ms")


def flows(direction: str, number: int) -> Cell:
    """Measure the rate of TCP connections, and the processor time per GB of each group."""

    def measure(target: Target, seconds: float) -> dict[str, Any]:
        before = cpu.used()
        done = transfer(target, direction, number, seconds)
        per_gb = {group: spent / (done["bytes"] / 1e9) for group, spent in cpu.spent(before).items()}
        return {"gbit": done["gbit"], "cpu_per_gb": per_gb, "resident": cpu.memory()}

    return measure


def transfer(target: Target, direction: str, number: int, seconds: float) -> dict[str, Any]:
    """Run TCP connections for some seconds."""
    return ends("flows", direction, target.host, "-n", str(number), "-t", f"{seconds}s", seconds=seconds + SPARE_S)


def idle(target: Target, _: float) -> dict[str, Any]:
    """Measure request and response of 64 bytes, and ping, with nothing beside them."""
    return {"rpc": rpc(target, RPC_IDLE)} | ({"ping": ping(target, 2.0)} if target.packets else {})


def loaded(direction: str, number: int) -> Cell:
    """Measure the same while connections fill the path."""

    def measure(target: Target, seconds: float) -> dict[str, Any]:
        length = seconds + 1.0  # so that the load lasts longer than what is measured beside it
        with ThreadPoolExecutor(3) as pool:
            load = pool.submit(transfer, target, direction, number, length)
            answers = pool.submit(rpc, target, RPC_LOADED)
            pings = pool.submit(ping, target, seconds) if target.packets else None
            record = {"rpc": answers.result(), "gbit": load.result()["gbit"]}
            return record | ({"ping": pings.result()} if pings else {})

    return measure


def rpc(target: Target, number: int) -> dict[str, float]:
    """Return the median and the 99th percentile of `number` round trips, in ms."""
    done = ends("rpc", target.host, "-n", str(number), seconds=SPARE_S)
    return {"p50_ms": done["p50_us"] / 1e3, "p99_ms": done["p99_us"] / 1e3}


def ping(target: Target, seconds: float) -> dict[str, float]:
    """Return the median and the 99th percentile of echo replies, in ms, and how many were lost."""
    number = max(10, int(seconds / PING_GAP_S))
    words = ("ping", "-n", "-i", str(PING_GAP_S), "-c", str(number), "-W", "2", target.host)
    times = [float(each) for each in TIME.findall(output(*LAPTOP, *words, seconds=seconds + SPARE_S))]
    hundredths = quantiles(times, n=100)
    return {"p50_ms": hundredths[49], "p99_ms": hundredths[98], "lost": number - len(times)}


def udp(target: Target, seconds: float) -> dict[str, Any]:
    """Measure what arrives of datagrams, sent as fast as it goes and at a rate."""
    record = {}
    for name, (size, rate) in UDP_CELLS.items():
        words = ("udp", target.host, "-size", str(size), "-mbit", str(rate), "-t", f"{seconds}s")
        done = ends(*words, seconds=seconds + SPARE_S)
        record[name] = {
            "sent_kpps": done["sent"] / done["seconds"] / 1e3,
            "received_kpps": done["received"] / done["seconds"] / 1e3,
            "gbit": done["gbit"],
        }
    return {"udp": record}


CELLS: dict[str, Cell] = {
    "up1": flows("up", 1),
    "up8": flows("up", 8),
    "down1": flows("down", 1),
    "down8": flows("down", 8),
    "rpc": idle,
    "load-up8": loaded("up", 8),
    "load-down8": loaded("down", 8),
    "udp": udp,
}
