"""Records into Markdown tables: the median of the repetitions, with minimum and maximum in brackets."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, Any

from lab_bench.cpu import MACHINE, OTHERS

if TYPE_CHECKING:
    from collections.abc import Iterable

    Record = dict[str, Any]

BASE = "kubectl-spdy"
FLOWS = ("up1", "up8", "down1", "down8")
LATENCY = (("rpc", "idle"), ("load-up8", "8 flows up"), ("load-down8", "8 flows down"))
MEBI = 1 << 20


def markdown(records: list[Record]) -> str:
    """Return all tables that the records give."""
    tables = (rates, ratios, latencies, datagrams, processors, steps, resident)
    return "\n\n".join(text for table in tables if (text := table(records)))


def table(title: str, head: Iterable[str], rows: list[list[str]]) -> str:
    """Lay out one table; none without rows."""
    if not rows:
        return ""
    columns = list(head)
    lines = [f"### {title}", "", row(columns), row(["---"] * len(columns)), *map(row, rows)]
    return "\n".join(lines)


def row(cells: Iterable[str]) -> str:
    """Lay out one row."""
    return f"| {' | '.join(cells)} |"


def names(records: list[Record]) -> list[str]:
    """Return the paths in the order in which they were measured."""
    return list(dict.fromkeys(record["path"] for record in records))


def values(records: list[Record], path: str, cell: str, *keys: str) -> list[float]:
    """Collect the number under `keys` over the repetitions."""
    found = []
    for record in records:
        if (record["path"], record["cell"]) == (path, cell):
            inner: Any = record
            for key in keys:
                inner = inner.get(key, {})
            if inner != {}:
                found.append(float(inner))
    return found


def spread(numbers: list[float], digits: int = 2) -> str:
    """Write median (minimum to maximum)."""
    if not numbers:
        return "-"
    low, mid, high = (f"{number:.{digits}f}" for number in (min(numbers), median(numbers), max(numbers)))
    return mid if len(numbers) == 1 else f"{mid} ({low}-{high})"


def rates(records: list[Record]) -> str:
    """Rates of TCP."""
    rows = [[path, *(spread(values(records, path, cell, "gbit")) for cell in FLOWS)] for path in names(records)]
    return table("TCP, Gbit/s", ("path", *FLOWS), [line for line in rows if set(line[1:]) != {"-"}])


def ratios(records: list[Record]) -> str:
    """Medians of TCP as a multiple of raw port-forward."""
    rows = []
    for path in names(records):
        pairs = [(values(records, path, cell, "gbit"), values(records, BASE, cell, "gbit")) for cell in FLOWS]
        line = [f"{median(own) / median(base):.2f}" if own and base else "-" for own, base in pairs]
        rows.append([path, *line])
    return table(f"TCP, as a multiple of {BASE}", ("path", *FLOWS), [line for line in rows if set(line[1:]) != {"-"}])


def latencies(records: list[Record]) -> str:
    """Round trips, idle and under load."""
    rows = []
    for path in names(records):
        for what in ("rpc", "ping"):
            line = [
                spread(values(records, path, cell, what, percentile), 1)
                for cell, _ in LATENCY
                for percentile in ("p50_ms", "p99_ms")
            ]
            if set(line) != {"-"}:
                rows.append([path, what, *line])
    head = [f"{load} {percentile}" for _, load in LATENCY for percentile in ("p50", "p99")]
    return table("Round trips, ms", ("path", "of", *head), rows)


def datagrams(records: list[Record]) -> str:
    """Datagrams."""
    rows = []
    for path in names(records):
        found = [record["udp"] for record in records if record["path"] == path and "udp" in record]
        for name in found[0] if found else ():
            line = [
                spread([each[name][key] for each in found], 1 if "kpps" in key else 2)
                for key in ("sent_kpps", "received_kpps", "gbit")
            ]
            rows.append([path, name, *line])
    return table("UDP up", ("path", "datagrams", "sent, kpps", "received, kpps", "received, Gbit/s"), rows)


def processors(records: list[Record]) -> str:
    """Core-seconds per GB."""
    groups = list(dict.fromkeys(group for record in records for group in record.get("cpu_per_gb", {})))
    groups.sort(key=lambda group: (group == MACHINE, group == OTHERS))
    rows = []
    for path in names(records):
        for cell in ("up1", "down1"):
            line = [spread(values(records, path, cell, "cpu_per_gb", group)) for group in groups]
            if set(line) != {"-"}:
                rows.append([path, cell, *line])
    return table("Processor, core-seconds per GB", ("path", "flow", *groups), rows)


def steps(records: list[Record]) -> str:
    """Time of `kttun up` by step."""
    found = [record["steps"] for record in records if "steps" in record]
    rows = [[name, spread([each[name] for each in found])] for name in (found[0] if found else ())]
    return table("kttun up, s", ("step", "time"), rows)


def resident(records: list[Record]) -> str:
    """Memory of kttun's processes, as it was after each load."""
    found = [record["resident"] for record in records if record.get("resident")]
    groups = list(dict.fromkeys(group for each in found for group in each))
    rows = [[group, spread([each[group] / MEBI for each in found if group in each], 0)] for group in groups]
    return table("Resident, MiB", ("process", "memory"), rows)
