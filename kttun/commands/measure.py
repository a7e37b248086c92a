"""A session's counters at one moment, and how fast they grew since the moment before."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

TOTALS = ("tx_packets", "tx_bytes", "rx_packets", "rx_bytes")


@dataclass(frozen=True, slots=True)
class Measure:
    """What a session told. `asked` is seconds of the monotonic clock, `at` seconds since the epoch."""

    name: str
    state: str
    asked: float
    at: float
    totals: Mapping[str, int]
    """By the names in TOTALS."""
    drops: Mapping[str, int]
    """Packets by reason (`kttun.stats.counters.DropReason`)."""
    lanes: tuple[Mapping[str, Any], ...]
    """As `kttun status --json` has them."""
    over_s: float | None = None
    """Seconds that the rates speak of; None for the first of a session."""
    rates: Mapping[str, float] | None = None
    """A second, by the names of totals and drops; None where there is nothing to compare with."""

    def rate(self, name: str) -> float | None:
        """Give one rate, rounded as it is written."""
        return None if self.rates is None else round(self.rates[name], 3)

    def to_json(self, by: str | None = None) -> dict[str, Any]:
        """Give the object of `kttun stats --json`; `by` (lane, drop) leaves the other parts out."""
        parts: dict[str, dict[str, Any]] = {
            "total": {"totals": {name: self._counted(name, self.totals) for name in self.totals}},
            "lane": {"lanes": [dict(lane) for lane in self.lanes]},
            "drop": {"drops": {name: self._counted(name, self.drops) for name in self.drops}},
        }
        shown = [parts[by]] if by else list(parts.values())
        head = {"schema": 1, "session": self.name, "state": self.state, "at": round(self.at, 3)}
        over = None if self.over_s is None else round(self.over_s, 3)
        return head | {"over_s": over} | {key: value for part in shown for key, value in part.items()}

    def _counted(self, name: str, counts: Mapping[str, int]) -> dict[str, float | None]:
        return {"count": counts[name], "per_s": self.rate(name)}


def measure(name: str, status: Mapping[str, Any], *, asked: float, at: float, before: Measure | None) -> Measure:
    """Make a measure of a session's status, with rates since `before`.

    There are none when a counter went back: then it is another session of that name.
    """
    counters = status["counters"]
    now = Measure(
        name=name,
        state=status["state"],
        asked=asked,
        at=at,
        totals={each: counters[each] for each in TOTALS},
        drops=dict(counters["drops"]),
        lanes=tuple(status["lanes"]),
    )
    if before is None or asked <= before.asked:
        return now
    earlier, later = {**before.totals, **before.drops}, {**now.totals, **now.drops}
    grown = {each: count - earlier.get(each, 0) for each, count in later.items()}
    if min(grown.values()) < 0:
        return now
    over = asked - before.asked
    return replace(now, over_s=over, rates={each: more / over for each, more in grown.items()})
