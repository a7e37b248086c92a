"""The pump: one thread that moves packets between a TUN and a lane, and nothing else.

In one turn, as a packet travels:

    inbound    1. receive   carrier -> the tunnel's buffer, as much as is there           (`Lane.receive`)
               2. open      records -> packets and events                                 (`Tunnel.received`)
               3. write     packets -> TUN                                                (`Tun.write`)
    outbound   4. read      TUN -> queues, by flow; what our own kernel has just          (`Tun.read`)
                            answered to step 3 is among it
               5. take      queues -> packets whose turn it is, as the limit allows       (`FlowQueues.take`)
               6. seal      packets, and the credit that is owed, -> one record           (`Tunnel.seal`)
               7. send      record -> carrier framing -> socket                           (`Lane.send`)

Wake-ups cost more than copying and encrypting all the bytes, so a turn takes what is there and never waits for more:
sleeping to gather a batch empties the window (2 ms halve the rate). Inbound goes first so that answers and credit
ride in the record that leaves at the end of the same turn.

The TUN is read also while there is no lane: the queues fill, overflow by their own rule, and are what programs go on
with when a lane is back. A lane that dies or breaks the protocol costs the lane; the owner hears of it and attaches
another.
"""

from __future__ import annotations

import contextlib
import math
import time
from typing import TYPE_CHECKING

from kttun.link.carrier import LaneLostError
from kttun.link.events import Closed, LaneLost, LaneRefused, LinkEvent, LinkStatus, TunLost
from kttun.link.lane import Lane
from kttun.link.loop import READABLE, WRITABLE, Loop
from kttun.link.memory import keep_memory
from kttun.link.queues import FlowQueues
from kttun.link.scheduling import wake_politely
from kttun.link.tun import Tun, TunLostError
from kttun.protocol.errors import RemoteProtocolError
from kttun.protocol.events import CreditReceived, Event, LaneSilent, Opened
from kttun.protocol.states import State
from kttun.stats.counters import Counters, DropReason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from kttun.link.carrier import Carrier
    from kttun.protocol.tunnel import Received, Tunnel

MOST_STRANGERS = 8
"""Streams at the gateway that have not yet proved themselves; one more ends the oldest."""


class Link:
    """Moves packets between the TUN `tun_fd` and the lane of `tunnel`'s session; runs in the thread that calls `run`.

    At the laptop (`at_gateway` false) `tunnel` is an initiator and `attach` gives it its lane, the next one after each
    `LaneLost`. At the gateway it is a responder, and anybody who reaches the port may bring a stream; each is tried
    beside the live one and takes its place when it has proved itself.

    `inner_addresses` are the packed addresses bound to the session, see `Tun`. `on_event` is called in the loop's
    thread with each `LinkEvent`, credits excepted. `clock` gives monotonic seconds, as `tunnel` was made with. All
    methods are for the loop's thread, except `stop` and the loop's `call_soon`, which brings others there, and
    `status`.
    """

    def __init__(
        self,
        tun_fd: int,
        tunnel: Tunnel,
        *,
        inner_addresses: Iterable[bytes],
        at_gateway: bool,
        on_event: Callable[[LinkEvent], None],
        queues: FlowQueues | None = None,
        counters: Counters | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.counters = Counters() if counters is None else counters
        self.queues = FlowQueues() if queues is None else queues
        self.loop = Loop()
        self._tunnel = tunnel
        self._tun = Tun(tun_fd, inner_addresses=inner_addresses, at_gateway=at_gateway, counters=self.counters)
        self._at_gateway = at_gateway
        self._on_event = on_event
        self._clock = clock
        self._lane: Lane | None = None
        self._strangers: list[Lane] = []
        self._readable: set[Lane] = set()
        self._tun_readable = False
        self._closed = False
        self._now = clock()
        self.loop.watch(tun_fd, self._tun_is_ready)

    # The owner's verbs

    def attach(self, carrier: Carrier) -> None:
        """Let `carrier` carry the session, from its handshake on; it belongs to the link from now on."""
        now = self._clock()
        if self._tunnel.state in {State.CLOSING, State.CLOSED}:
            carrier.close()
            return
        if self._at_gateway:
            lane = Lane(carrier, self._tunnel.successor(now), now)
            self._strangers.append(lane)
            if len(self._strangers) > MOST_STRANGERS:
                self._end(self._strangers[0], LaneLostError("stream gave way to newer ones"))
        else:
            self._discard(self._lane)
            lane = self._lane = Lane(carrier, self._tunnel, now)
        self._watch(lane, blocked=False)

    def close(self, reason: str) -> None:
        """End the session: the peer hears `reason`; `Closed` follows when it has agreed, or after two seconds."""
        self._tunnel.close(reason, self._clock())

    def run(self) -> None:
        """Move packets until `stop`; what `on_event` raises leaves here."""
        keep_memory()
        wake_politely()
        self.loop.run(self.turn_ends)

    def stop(self) -> None:
        """Let `run` return; from any thread."""
        self.loop.stop()

    def free(self) -> None:
        """After `run`: close all lanes and the loop. The TUN stays open, as whoever opened it wants it."""
        for lane in self._lanes():
            self._discard(lane)
        self.loop.close()

    def status(self) -> LinkStatus:
        """Give how the link stands; from any thread."""
        lane, tunnel = self._lane, self._tunnel
        limiter = lane.limiter if lane else None
        return LinkStatus(
            state=tunnel.state,
            since=tunnel.since,
            last_heard=tunnel.last_heard,
            carrier=lane.carrier.name if lane else None,
            rtt_s=tunnel.rtt,
            min_rtt_s=limiter.min_rtt if limiter else None,
            in_flight=limiter.in_flight if limiter else 0,
            limit=limiter.limit if limiter else 0,
            rate=limiter.rate if limiter else 0.0,
            queued=self.queues.size,
        )

    # One turn

    def turn_ends(self) -> float | None:
        """Do the work of a turn; give the longest wait for the next, in seconds, None for ever (see `Loop.run`)."""
        now = self._now = self._clock()
        written = self.counters.rx_packets
        for lane in tuple(self._readable):
            if lane in self._readable:  # else one before it has taken its place
                self._receive(lane)
        if self._tun_readable or self.counters.rx_packets != written:
            self._read_tun()
        wait = math.inf
        for lane in self._lanes():
            self._check_time(lane)
        for lane in self._lanes():
            self._send(lane)
            wait = min(wait, lane.deadline(now) - now)
        if self._tunnel.state is State.CLOSED and not self._closed:
            self._closed = True
            for lane in self._lanes():
                self._discard(lane)
            self._on_event(Closed())
        if self._readable:
            return 0.0
        return None if wait == math.inf else max(0.0, wait)

    def _tun_is_ready(self, _mask: int) -> None:
        self._tun_readable = True

    def _receive(self, lane: Lane) -> None:
        self._readable.discard(lane)
        try:
            lane.receive(self._now, self._take)
            if not lane.closed and lane.carrier.pending:
                self._readable.add(lane)
        except LaneLostError as error:
            self._end(lane, error)
        except RemoteProtocolError as error:
            with contextlib.suppress(LaneLostError):
                lane.send(self._now, None)  # the refusal that names the reason
            self._end(lane, error)

    def _take(self, lane: Lane, got: Received) -> None:
        for event in got.events:
            if isinstance(event, CreditReceived):
                lane.credited(event.total, self._now)
                self.counters.credits += 1
            else:
                self._heard(lane, event)
        if got.packets:
            self.counters.rx_records += 1
            self._tun.write(got.packets)

    def _read_tun(self) -> None:
        self._tun_readable = False
        try:
            self._tun.read(self.queues)
        except TunLostError as error:
            self.loop.forget(self._tun.fd)
            self._on_event(TunLost(str(error)))

    def _check_time(self, lane: Lane) -> None:
        if lane.tunnel.deadline() <= self._now:
            for event in lane.tunnel.handle_timer(self._now):
                if isinstance(event, LaneSilent):
                    self._end(lane, LaneLostError("lane fell silent"))

    def _send(self, lane: Lane) -> None:
        was_blocked, records = lane.blocked, lane.records_out
        try:
            lane.send(self._now, self.queues if lane is self._lane else None)
        except LaneLostError as error:
            self._end(lane, error)
            return
        self.counters.tx_records += lane.records_out - records
        if lane.blocked != was_blocked:
            self._watch(lane, blocked=lane.blocked)

    # Lanes come and go

    def _lanes(self) -> list[Lane]:
        return [*self._strangers, self._lane] if self._lane else list(self._strangers)

    def _heard(self, lane: Lane, event: Event) -> None:
        if isinstance(event, Opened):
            if self._tunnel.state in {State.CLOSING, State.CLOSED}:
                self._discard(lane)
                return
            self.counters.resumes += event.resumed
            if lane is not self._lane:
                self._strangers.remove(lane)
                self._discard(self._lane)
                self._lane, self._tunnel = lane, lane.tunnel
        self._on_event(event)

    def _watch(self, lane: Lane, *, blocked: bool) -> None:
        mask = READABLE | WRITABLE if blocked else READABLE
        self.loop.watch(lane.carrier.fileno(), lambda ready: self._lane_is_ready(lane, ready), mask)

    def _lane_is_ready(self, lane: Lane, mask: int) -> None:
        if mask & ~WRITABLE:
            self._readable.add(lane)

    def _end(self, lane: Lane, error: LaneLostError | RemoteProtocolError) -> None:
        if lane is self._lane:
            over = self._tunnel.state is State.CLOSED
            self._discard(lane)
            if not over:
                self.counters.lanes_lost += 1
                self._on_event(LaneLost(error))
        elif lane in self._strangers:
            self._discard(lane)
            self._on_event(LaneRefused(error))

    def _discard(self, lane: Lane | None) -> None:
        if lane is None:
            return
        if lane is self._lane:
            self._lane = None
        elif lane in self._strangers:
            self._strangers.remove(lane)
        self._readable.discard(lane)
        self.loop.forget(lane.carrier.fileno())
        if lane.unsent_packets:
            self.counters.drop(DropReason.NO_LANE, lane.unsent_packets)
            lane.unsent_packets = 0
        lane.close(self._clock())
