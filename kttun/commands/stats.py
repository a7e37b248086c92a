"""`kttun stats`: counters and rates of a session, for people, as tab-separated rows (as `wg show dump`), and as JSON.

A rate is what was counted between two questions divided by the seconds between them; the first answer has none, since
nothing was asked before it.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from kttun.commands.measure import Measure, measure
from kttun.commands.sessions import the_session

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterator

    from kttun.commands.console import Console

USUAL_INTERVAL_S = 1.0
NONE = "(none)"
"""An empty field of a row, as wg(8) writes it."""


def run(options: Namespace, _console: Console) -> int:
    """Print the counters at once, and again each interval until Ctrl-C or as often as was asked.

    Raises `NoSuchSessionError`, also when the session ends meanwhile.
    """
    session = the_session(options)
    for number, each in enumerate(_measures(session.name, lambda: session.ask("status"), options)):
        if options.json:
            print(json.dumps(each.to_json(options.by)), flush=True)
        elif options.tsv:
            print(*_rows(each, options.by), sep="\n", flush=True)
        else:
            print(*([""] if number else []), *_lines(each, options.by), sep="\n", flush=True)
    return 0


def _measures(name: str, ask: Any, options: Namespace) -> Iterator[Measure]:
    """Yield one measure after the other; the wait between them is counted from question to question."""
    interval = options.interval or USUAL_INTERVAL_S
    left = options.count if options.count is not None else (None if options.interval else 1)
    before = None
    while left is None or left > 0:
        if before is not None:
            time.sleep(max(0.0, before.asked + interval - time.monotonic()))
        asked, at = time.monotonic(), time.time()
        before = measure(name, ask(), asked=asked, at=at, before=before)
        yield before
        left = None if left is None else left - 1


def _lines(found: Measure, by: str | None) -> Iterator[str]:
    """Yield what people read: zeros are shown, so that nobody has to know what else could have been there."""
    over = "" if found.over_s is None else f", rates over {found.over_s:.1f} s"
    yield f"{found.name}: {found.state}{over}"
    if by is None:
        yield f"  {'':<20}{'packets':>12}{'bytes':>16}{'packets/s':>12}{'bytes/s':>16}"
        for way in ("tx", "rx"):
            counts = f"{found.totals[f'{way}_packets']:>12}{found.totals[f'{way}_bytes']:>16}"
            yield f"  {way:<20}{counts}{_rate(found, f'{way}_packets'):>12}{_rate(found, f'{way}_bytes'):>16}"
    if by in {None, "lane"}:
        for lane in found.lanes:
            rtt = "-" if lane["rtt_ms"] is None else f"{lane['rtt_ms']} ms"
            flight = (
                f"{lane['in_flight']} of {lane.get('limit', '-')} bytes in flight, {lane.get('queued', '-')} queued"
            )
            carrier = lane["carrier"] or "no carrier"
            yield f"  {'lane ' + str(lane['index']):<20}{lane['state']}, {carrier}, round trip {rtt}, {flight}"
    if by in {None, "drop"}:
        for reason, count in found.drops.items():
            yield f"  {'drop ' + reason:<20}{count:>12}{'':16}{_rate(found, reason):>12}"


def _rate(found: Measure, name: str) -> str:
    return "-" if found.rates is None else f"{found.rates[name]:.1f}"


def _rows(found: Measure, by: str | None) -> Iterator[str]:
    """Yield tab-separated rows; the first field says what a row is, the next two are session and epoch seconds.

    total  SESSION AT tx_packets tx_bytes rx_packets rx_bytes, and their four rates a second
    lane   SESSION AT index state carrier rtt_ms in_flight limit queued
    drop   SESSION AT reason packets, and the rate a second
    """
    head = (found.name, f"{found.at:.3f}")
    if by is None:
        yield _row("total", *head, *found.totals.values(), *(found.rate(each) for each in found.totals))
    if by in {None, "lane"}:
        keys = ("index", "state", "carrier", "rtt_ms", "in_flight", "limit", "queued")
        for lane in found.lanes:
            yield _row("lane", *head, *(lane.get(key) for key in keys))
    if by in {None, "drop"}:
        for reason, count in found.drops.items():
            yield _row("drop", *head, reason, count, found.rate(reason))


def _row(*fields: Any) -> str:
    return "\t".join(NONE if field is None else str(field) for field in fields)
