"""A keyed lane: one stream behind its handshake, from packets and control frames to records and back.

It knows nothing of the session's states: `Tunnel` says when a record may be made, and what follows from what came.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from kttun.protocol import HEADROOM, frames
from kttun.protocol.credit import Credit
from kttun.protocol.events import CreditReceived, PeerClosed, RttMeasured
from kttun.protocol.frames import Kind
from kttun.protocol.liveness import Liveness
from kttun.protocol.records import RECORD_OVERHEAD, Opener, Sealer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kttun.protocol.buffer import ReceiveBuffer
    from kttun.protocol.events import Event
    from kttun.protocol.frames import Packet
    from kttun.protocol.keys import LaneKeys
    from kttun.protocol.settings import Settings


class Lane:
    """The lane of one handshake, with the keys of this end; `buffer` may already hold the peer's first records."""

    def __init__(self, keys: LaneKeys, buffer: ReceiveBuffer, settings: Settings, now: float) -> None:
        self._sealer = Sealer(keys.sending)
        self.opener = Opener(keys.receiving, buffer)
        self.credit = Credit(settings.credit_delay_s)
        self.liveness = Liveness(settings.heartbeat_s, now)
        self._closing: str | None = None
        self._close_due_at = math.inf
        self.skipped = 0
        """Frames of kinds that this version does not know."""

    # Outbound

    @property
    def due_at(self) -> float:
        """When a record is due even without packets, seconds; in the past or now: call `control`."""
        return min(self.credit.due_at, self.liveness.due_at, self._close_due_at)

    def close(self, reason: str, now: float) -> None:
        """Let a CLOSE be due; only the first call counts."""
        if self._closing is None:
            self._closing, self._close_due_at = reason, now

    def seal(self, packets: Sequence[Packet], now: float) -> bytearray:
        """Give a record with what is due in front and the packets behind; raises as `frames.packet_parts` does."""
        parts = frames.packet_parts(packets)
        record = self._sealer.seal(self._control_frames(now) + parts)
        self.credit.sent += len(record) - HEADROOM
        return record

    def control(self, now: float) -> bytearray | None:
        """Give a record of control frames if one is due, else None."""
        return self._sealer.seal(self._control_frames(now)) if self.due_at <= now else None

    def _control_frames(self, now: float) -> list[Packet]:
        """Give the control frames that are due, and news not due yet: in a record that goes anyway they are free."""
        control: list[Packet] = []
        credit, liveness = self.credit, self.liveness
        if credit.owed:
            control.append(frames.u64(Kind.CREDIT, credit.tell()))
        if credit.has_news:
            control.append(frames.u32(Kind.WINDOW, credit.announce()))
        if liveness.due_at <= now:
            if liveness.pong_due_at <= now:
                control.append(frames.u64(Kind.PONG, liveness.pong()))
            if liveness.ping_due_at <= now:
                control.append(frames.u64(Kind.PING, liveness.ping(now)))
        if self._closing is not None and self._close_due_at <= now:
            self._close_due_at = math.inf
            control.append(frames.close(self._closing))
        return control

    # Inbound

    def open(self, now: float) -> tuple[list[memoryview], list[Event]] | None:
        """Give packets and events of the next record that is complete, None if there is none.

        The packets are valid until the next call. Raises `RemoteProtocolError`.
        """
        record = self.opener.next()
        if record is None:
            return None
        packets, others = frames.split(record)
        events: list[Event] = []
        for kind, body in others:
            event = self._take(kind, body, now)
            if event is not None:
                events.append(event)
        if packets:  # behind the others: a WINDOW in front of these packets is meant for them
            self.credit.receive(len(record) + RECORD_OVERHEAD, now)
        return packets, events

    def _take(self, kind: int, body: memoryview, now: float) -> Event | None:
        match kind:
            case Kind.CREDIT:
                total = frames.read_u64(body)
                self.credit.take_credit(total)
                return CreditReceived(total)
            case Kind.WINDOW:
                self.credit.take_window(frames.read_u32(body))
            case Kind.PING:
                self.liveness.take_ping(frames.read_u64(body), now)
            case Kind.PONG:
                rtt = self.liveness.take_pong(frames.read_u64(body), now)
                return None if rtt is None else RttMeasured(rtt)
            case Kind.CLOSE:
                return PeerClosed(frames.read_reason(body))
            case Kind.SEQUENCE:
                frames.read_u64(body)  # one lane is in order by itself
            case _:
                self.skipped += 1
        return None
