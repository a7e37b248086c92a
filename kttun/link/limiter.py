"""How many bytes may be under way: a limit measured from the credits, one for each direction of a lane.

A lane crosses four TCP connections in series, and no socket option here reaches the send buffer in the API server. What
is handed to the stream waits in all those buffers, out of reach of any fairness, unless there is never more under way
than the path needs. So the receiver returns how many stream bytes it has got (credit frames) and the sender measures,
as BBR does (Cardwell et al., "BBR: Congestion-Based Congestion Control", 2016; draft-ietf-ccwg-bbr):

- rate: bytes credited between a record's sending and its credit, over that time; the largest of the last second or ten
  round trips. While the queue was empty the sender was the bottleneck, so such a sample counts only if it is higher.
- min_rtt: the smallest time from a record's sending to its credit, of the last minute.
- limit = gain x rate x min_rtt + rate x 4 ms + 8 KiB. The last two let the ends sleep and wake: on a LAN, where the
  round trip is shorter than a time slice, they are most of it.
- Start-up: gain 2.89 (2/ln 2, as in BBR) and 128 KiB at least, until three round trips in a row did not raise the
  rate by a quarter.
- Probe: every 2.5 s, for one round trip, half of what gain 1.25 gives, else min_rtt would measure our own queue. If
  even then no round trip came near min_rtt, somebody else fills the link, and a small limit would give him all of it:
  gain + 1, up to 4; else back by 1, to 1.25 at last.

On a LAN whose ends share their processors with others, credits come in bursts and the largest rate is two or three
times the average. That is left so: it makes 1 to 3 MiB in flight and 3 to 6 ms of queue. Samples over 8 ms at least
brought 1 ms, at two thirds of the rate and almost twice the CPU time, since every wake-up then moves less.

Pure: the clock is handed in, in seconds; sizes are stream bytes as the peer counts them.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

START = 128 * 1024
FLOOR = 16 * 1024
GAIN = 1.25
START_GAIN = 2.89
MAX_GAIN = 4.0
BURST_S = 0.004
SLACK = 8 * 1024
RATE_WINDOW_S = 1.0
RATE_WINDOW_ROUNDS = 10
RTT_WINDOW_S = 60.0
PROBE_EVERY_S = 2.5
_GROWTH = 1.25
_FLAT_ROUNDS = 3


class _Record(NamedTuple):
    """What was known when a record left, to be read again when it is credited."""

    end: int
    sent_at: float
    delivered: int
    delivered_at: float
    first_sent_at: float
    source_limited: bool


class InFlightLimiter:
    """Measures one direction of one lane. Make a new one for each new byte stream: the path may be another."""

    def __init__(self, now: float) -> None:
        self.sent = 0
        """Stream bytes sent so far."""
        self.delivered = 0
        """Stream bytes the peer has credited so far."""
        self.rate = 0.0
        """Bytes a second, the estimate in force; 0 before the first credit."""
        self.min_rtt: float | None = None
        """Seconds; None before the first credit."""
        self.limit = START
        """Most bytes that may be in flight now."""
        self._records: deque[_Record] = deque()
        self._delivered_at = now
        self._first_sent_at = now
        self._rates: deque[tuple[float, float]] = deque()
        self._rtts: deque[tuple[float, float]] = deque()
        self.starting = True
        """Whether the rate is still being looked for."""
        self._gain = START_GAIN
        self._round_end = 0
        self._round_limited = False
        self._flat_rounds = 0
        self._plateau = 0.0
        self._probe_at = now + PROBE_EVERY_S
        self._probe_until = 0.0
        self._judge_at: float | None = None
        self._probe_rtt: float | None = None

    @property
    def in_flight(self) -> int:
        """Stream bytes sent and not yet credited."""
        return self.sent - self.delivered

    @property
    def room(self) -> int:
        """Bytes that may be sent now; 0 or less: wait for a credit."""
        return self.limit - self.sent + self.delivered

    def on_sent(self, total: int, now: float, *, source_limited: bool) -> None:
        """Note that a record goes to the carrier, with which `total` stream bytes have been sent.

        `source_limited`: nothing more waits, so this record cannot show how fast the path is.
        """
        if not self.in_flight:
            self._first_sent_at = self._delivered_at = now
        self.sent = total
        record = _Record(self.sent, now, self.delivered, self._delivered_at, self._first_sent_at, source_limited)
        self._records.append(record)

    def on_credit(self, total: int, now: float) -> None:
        """Measure by a credit: the peer has got `total` stream bytes. Repeated or older totals change nothing."""
        if not self.delivered < total <= self.sent:
            return
        self.delivered, self._delivered_at = total, now
        newest: _Record | None = None
        while self._records and self._records[0].end <= total:
            newest = self._records.popleft()
        if newest is None:
            return
        self._first_sent_at = newest.sent_at
        self._take_rtt(now - newest.sent_at, now)
        self._take_rate(newest, now)
        self._end_round(newest)
        self._probe(now)
        self._set_limit(now)

    def _take_rtt(self, rtt: float, now: float) -> None:
        _keep_best(self._rtts, -rtt, now, RTT_WINDOW_S)
        self.min_rtt = -self._rtts[0][1]
        if self._judge_at is not None:
            self._probe_rtt = rtt if self._probe_rtt is None else min(rtt, self._probe_rtt)

    def _take_rate(self, record: _Record, now: float) -> None:
        """Take the slower of sending and crediting: each may come in bursts, but not both faster than the path."""
        elapsed = max(now - record.delivered_at, record.sent_at - record.first_sent_at)
        if elapsed <= 0:
            return
        rate = (self.delivered - record.delivered) / elapsed
        if rate > self.rate or not record.source_limited:
            window = max(RATE_WINDOW_S, RATE_WINDOW_ROUNDS * (self.min_rtt or 0.0))
            _keep_best(self._rates, rate, now, window)
            self.rate = self._rates[0][1]

    def _end_round(self, record: _Record) -> None:
        """See whether a round trip ended: one does when a record is credited that left after the last one had."""
        self._round_limited |= record.source_limited
        if record.delivered < self._round_end:
            return
        self._round_end = self.delivered
        limited, self._round_limited = self._round_limited, False
        if not self.starting or limited:
            return
        if self.rate >= self._plateau * _GROWTH:
            self._plateau, self._flat_rounds = self.rate, 0
            return
        self._flat_rounds += 1
        if self._flat_rounds >= _FLAT_ROUNDS:
            self.starting, self._gain = False, GAIN

    def _probe(self, now: float) -> None:
        if self.starting or self.min_rtt is None:
            return
        rtt = max(self.min_rtt, now - self._records[0].sent_at if self._records else 0.0)
        if self._judge_at is None:
            if now >= self._probe_at:
                self._probe_until, self._judge_at, self._probe_rtt = now + rtt, now + 2 * rtt, None
        elif now >= self._judge_at:
            rival = self._probe_rtt is not None and self._probe_rtt > 1.4 * self.min_rtt + 0.005
            self._gain = min(MAX_GAIN, self._gain + 1) if rival else max(GAIN, self._gain - 1)
            self._judge_at, self._probe_at = None, now + PROBE_EVERY_S

    def _set_limit(self, now: float) -> None:
        probing = now < self._probe_until
        gain = GAIN if probing else self._gain  # half of a raised gain would still be our own queue, taken for a rival
        wanted = gain * self.rate * (self.min_rtt or 0.0) + self.rate * BURST_S + SLACK
        self.limit = max(START if self.starting else FLOOR, int(wanted / 2 if probing else wanted))


def _keep_best(samples: deque[tuple[float, float]], value: float, now: float, window: float) -> None:
    """Add `value` to a sliding maximum of the last `window` seconds: the front is the largest, later ones fall."""
    while samples and samples[-1][1] <= value:
        samples.pop()
    samples.append((now, value))
    while samples[0][0] < now - window:
        samples.popleft()
