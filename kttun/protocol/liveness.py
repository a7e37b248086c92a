"""Is the lane alive, and how long does an echo take: one end's heartbeat.

Each end sends a PING when it opens and then `heartbeat_s` after each PONG, whatever else flows: it is data for load
balancers that cut idle streams, a round-trip sample, and the question that an idle peer must answer. One PING is out at
a time: while it is unanswered another one would only join it in the queue. Any byte from the peer counts as life; how
long there may be none is `Settings.dead_s`.
"""

from __future__ import annotations

import math


class Liveness:
    """The heartbeat of an end that opens at `now`; times are the caller's monotonic seconds."""

    def __init__(self, heartbeat_s: float, now: float) -> None:
        self._heartbeat_s = heartbeat_s
        self.rtt: float | None = None
        """The last round trip, seconds; None before the first."""
        self.ping_due_at = now
        self.pong_due_at = math.inf
        self._ping = 0
        self._ping_sent_at = math.inf
        self._pong = 0

    @property
    def due_at(self) -> float:
        """When a PING or PONG is to be sent."""
        return min(self.ping_due_at, self.pong_due_at)

    def ping(self, now: float) -> int:
        """Give the number for the PING that leaves now: it counts up, so a late answer to an older one is known."""
        self._ping += 1
        self._ping_sent_at = now
        self.ping_due_at = math.inf
        return self._ping

    def take_ping(self, number: int, now: float) -> None:
        """Owe an answer to the peer's PING; only the latest is answered, which bounds what a flood can ask for."""
        self._pong = number
        self.pong_due_at = min(self.pong_due_at, now)

    def pong(self) -> int:
        """Give the number for the PONG that leaves now."""
        self.pong_due_at = math.inf
        return self._pong

    def take_pong(self, number: int, now: float) -> float | None:
        """Give the round trip, seconds, that the peer's PONG ends; None for an answer to nothing that is out."""
        if number != self._ping or self.ping_due_at < math.inf:
            return None
        self.rtt = now - self._ping_sent_at
        self.ping_due_at = now + self._heartbeat_s
        return self.rtt
