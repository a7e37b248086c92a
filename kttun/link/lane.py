"""One carrier and the tunnel end that runs on it: bytes to packets inbound, packets to bytes outbound.

What leaves a lane that dies is closed and forgotten; queues, TUN and session belong to the pump and outlive it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from kttun.link.limiter import InFlightLimiter
from kttun.protocol.states import State

if TYPE_CHECKING:
    from collections.abc import Callable

    from kttun.link.carrier import Carrier
    from kttun.link.queues import FlowQueues
    from kttun.protocol.tunnel import Received, Tunnel

RECEIVE_CHUNK = 256 * 1024
"""Most bytes taken from the carrier in one turn, so that the TUN gets its turn as well."""
LARGEST_RECORD = 112 * 1024
"""Bytes of packets in a record: so much of the smallest (30 bytes, 4 more as a frame) still fits into `PACKETS_LIMIT`.
Packets of eight flows have 37 KiB on average; with 64 KiB each left alone, at a third more processor time."""
SMALLEST_RECORD = 8 * 1024
_RECORDS_IN_FLIGHT = 8
"""A record is at most this part of the limit, so that the line never runs empty while one is made."""
_WORTH_WAITING = 4 * 1024
"""A low-water mark is a system call to set; for less than this it saves none."""
PATIENCE_S = 0.001
"""How long bare acknowledgements wait for company. Each small record wakes four processes between here and the pod,
0.3 ms of processor time: without this, acknowledging a download costs more than encrypting it."""
BUSY = 32 * 1024
"""Bytes received since packets were last sent, from which on a download is under way..."""
BUSY_PATIENCE_S = 0.004
"""... and they wait for the credit that is owed soon, each quarter of the far end's window, but no longer than this."""
_BLOCKED_S = 0.1
"""While the socket takes nothing, how often to look whether the peer has fallen silent."""
_NOTHING = memoryview(b"")


class Lane:
    """`carrier` from now on carries `tunnel`, whose handshake begins; both are the lane's until it is closed."""

    def __init__(self, carrier: Carrier, tunnel: Tunnel, now: float) -> None:
        self.carrier = carrier
        self.tunnel = tunnel
        self.limiter = InFlightLimiter(now)
        self.blocked = False
        """Whether the socket took less than there was: wait until it is writable."""
        self.unsent_packets = 0
        """Packets in a record of which a part waits for the socket."""
        self.records_out = 0
        self.closed = False
        self._unsent = _NOTHING
        self._received = 0
        """Bytes received since packets were last sent."""
        self._waiting_since = math.inf
        """When the oldest bare acknowledgement began to wait; infinity: none does."""
        tunnel.attach(now)

    # Inbound

    def receive(self, now: float, take: Callable[[Lane, Received], None]) -> None:
        """Receive what is there and call `take` with what each record brings; packets are valid only inside it.

        `take` may `close` the lane. Raises `LaneLostError` and `RemoteProtocolError`; then `close` it.
        """
        carrier, tunnel = self.carrier, self.tunnel
        n = carrier.receive_into(tunnel.buffer()[:RECEIVE_CHUNK])
        if not n:
            return
        self._received += n
        got = tunnel.received(n, now)
        take(self, got)
        while got.more and not self.closed:
            got = tunnel.more(now)
            take(self, got)
        if self.closed:
            return
        missing = tunnel.missing
        carrier.expect(missing if missing > _WORTH_WAITING else 1)

    # Outbound

    def send(self, now: float, queues: FlowQueues | None) -> None:
        """Send what is due and, from `queues`, as many packets as the limit and the socket allow.

        Raises `LaneLostError`; then `close` it.
        """
        carrier = self.carrier
        while True:
            if self._unsent:
                n = carrier.send(self._unsent)
                if n < len(self._unsent):
                    self._unsent = self._unsent[n:] if n else self._unsent
                    break
                self._unsent = _NOTHING
                self.unsent_packets = 0
            record = self._next_record(now, queues)
            if record is None:
                if carrier.want_write:
                    carrier.send(_NOTHING)
                break
            self._unsent = carrier.frame(record)
        self.blocked = bool(self._unsent) or carrier.want_write

    def _next_record(self, now: float, queues: FlowQueues | None) -> bytearray | None:
        tunnel, limiter = self.tunnel, self.limiter
        if queues is None or not queues.size or limiter.room <= 0 or tunnel.state is not State.OPEN:
            return tunnel.data_to_send(now)
        if self._may_wait(now, queues):
            return None
        size = min(LARGEST_RECORD, max(SMALLEST_RECORD, limiter.limit // _RECORDS_IN_FLIGHT))
        packets = queues.take(min(size, limiter.room))
        record = tunnel.seal(packets, now)
        limiter.on_sent(tunnel.sent, now, source_limited=not queues.size)
        self.unsent_packets = len(packets)
        self.records_out += 1
        self._received, self._waiting_since = 0, math.inf
        return record

    def _may_wait(self, now: float, queues: FlowQueues) -> bool:
        """Tell whether only bare acknowledgements wait, not for long yet, and nothing else is due to leave anyway."""
        if queues.prompt or self.tunnel.deadline() <= now:
            return False
        self._waiting_since = min(self._waiting_since, now)
        return now < self._patience_ends

    @property
    def _patience_ends(self) -> float:
        return self._waiting_since + (PATIENCE_S if self._received < BUSY else BUSY_PATIENCE_S)

    def deadline(self, now: float) -> float:
        """Give when something is due next, in the caller's seconds (see `Tunnel.deadline`).

        What is due cannot leave while the socket is full: that it has room again is the loop's to see, not the clock's.
        """
        due_at = self.tunnel.deadline()
        if self.blocked:
            return max(due_at, now + _BLOCKED_S)
        return due_at if self.limiter.room <= 0 else min(due_at, self._patience_ends)

    def credited(self, total: int, now: float) -> None:
        """Measure by a credit: the peer has `total` bytes of what was sent. Let it know how often to say so."""
        self.limiter.on_credit(total, now)
        self.tunnel.set_window(self.limiter.limit)

    def close(self, now: float) -> None:
        """Close the carrier and detach the tunnel from it; may be called twice."""
        self.closed = True
        self.carrier.close()
        self.tunnel.detach(now)
