"""The books of one lane about bytes under way, in both directions.

What is counted are the stream bytes of *records with packets* (length field, ciphertext and tag), nothing else. Records
of control frames are few and small, and leaving them out keeps three promises by construction: a credit never asks for
a credit, so two idle ends fall silent; the sender's `in_flight` is exactly what the receiver still owes, so it always
goes back to 0; and a full in-flight limit never holds back the credit that would empty the other end's. (QUIC leaves
packets of bare acknowledgements out of flight for the same reasons: RFC 9002 section 3.)

A receiver owes a credit once a quarter of the sender's window is uncredited, so the sender never stands still for want
of news, or after a short delay. Whatever record goes the other way takes the credit along before that.
"""

from __future__ import annotations

import math

from kttun.protocol.errors import RemoteProtocolError

DEFAULT_WINDOW = 512 * 1024
"""A sender's in-flight limit, bytes, until its first WINDOW frame says otherwise."""
_NEWS = 8
"""A limit is announced again when it has changed by one part in so many: the peer only needs a quarter of it."""
_WINDOW_MAX = 2**32 - 1


class Credit:
    """`delay_s` is the longest time that received bytes stay uncredited, seconds."""

    def __init__(self, delay_s: float) -> None:
        self._delay_s = delay_s
        self._quarter = DEFAULT_WINDOW // 4
        self.received = 0
        """Counted bytes from the peer."""
        self._told = 0
        self.due_at = math.inf
        """When a credit is worth a record of its own, seconds; never while nothing is owed."""
        self.sent = 0
        """Counted bytes to the peer."""
        self.credited = 0
        """Of `sent`, what the peer is known to have."""
        self.limit = self._announced = DEFAULT_WINDOW

    # Inbound: what we owe the peer.

    def receive(self, size: int, now: float) -> None:
        """Count a record with packets, `size` stream bytes, that arrived at `now`."""
        self.received += size
        delay = self._delay_s if self.received - self._told < self._quarter else 0.0
        self.due_at = min(self.due_at, now + delay)

    @property
    def owed(self) -> bool:
        """Whether a credit would tell the peer anything new."""
        return self.received > self._told

    def tell(self) -> int:
        """Give the total for a CREDIT frame, which is then told."""
        self._told = self.received
        self.due_at = math.inf
        return self.received

    def take_window(self, limit: int) -> None:
        """Note that the peer lets `limit` bytes be under way at most."""
        self._quarter = limit // 4

    # Outbound: what the peer owes us.

    @property
    def in_flight(self) -> int:
        """Counted bytes that were sent and not yet credited."""
        return self.sent - self.credited

    def take_credit(self, total: int) -> None:
        """Note that the peer has `total` bytes; `RemoteProtocolError` for more than we sent, or less than it had."""
        if not self.credited <= total <= self.sent:
            raise RemoteProtocolError(f"credit of {total} bytes is outside {self.credited} to {self.sent}")
        self.credited = total

    @property
    def has_news(self) -> bool:
        """Whether our limit differs so much from the announced one that the peer should know."""
        return abs(self.limit - self._announced) * _NEWS > self._announced

    def announce(self) -> int:
        """Give the limit for a WINDOW frame, which is then announced."""
        self._announced = self.limit
        return min(self.limit, _WINDOW_MAX)
