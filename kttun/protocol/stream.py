"""One stream from its first byte to its last: the handshake, then the lane it makes.

A new one is made for every attach and thrown away with its keys; nothing in it survives. What follows for the session
from what comes here is the business of `Tunnel`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from kttun.protocol import HEADROOM
from kttun.protocol.buffer import ReceiveBuffer
from kttun.protocol.events import Opened
from kttun.protocol.handshake import Handshake
from kttun.protocol.keys import lane_keys
from kttun.protocol.lane import Lane
from kttun.protocol.noise import Role

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

    from kttun.protocol.events import Event
    from kttun.protocol.handshake import Identity
    from kttun.protocol.settings import Settings

_LANE = 0


class Stream:
    """A stream attached at `now`; `ephemeral` is a fresh key, `resumed` goes into `Opened`."""

    def __init__(
        self,
        identity: Identity,
        ephemeral: X25519PrivateKey,
        settings: Settings,
        now: float,
        *,
        resumed: bool,
    ) -> None:
        self._identity = identity
        self._settings = settings
        self._resumed = resumed
        self._handshake = Handshake(identity, ephemeral)
        self._outgoing = self._from_handshake()
        self._lane: Lane | None = None
        self._give_up_at = now + settings.handshake_s
        self.buffer = ReceiveBuffer()
        self.lane: Lane | None = None
        """The lane once the peer has proved that it is there; not before, as nothing may be said to a replay."""
        self.last_heard = now

    def received(self, n: int, now: float) -> None:
        """Take note of `n` bytes in the buffer's room."""
        self.buffer.received(n)
        if n:
            self.last_heard = now

    # Outbound

    def data_to_send(self, now: float) -> bytearray | None:
        """Give what is due without packets, or None."""
        if self._outgoing is not None:
            outgoing, self._outgoing = self._outgoing, None
            return outgoing
        return None if self.lane is None else self.lane.control(now)

    def refusal(self) -> bytearray | None:
        """Give what to say after `next` has raised: a responder's preface that names the reason, or nothing."""
        return self._from_handshake()

    def close(self, reason: str, now: float) -> bool:
        """Let a CLOSE be due, and wait for the peer's no longer than `Settings.close_s`; only the first call counts.

        False when the peer has not proved itself: there is nobody to tell.
        """
        if self.lane is None:
            return False
        self.lane.close(reason, now)
        self._give_up_at = min(self._give_up_at, now + self._settings.close_s)
        return True

    # Inbound

    def next(self, now: float) -> tuple[Sequence[memoryview], list[Event]]:
        """Give what the next complete record brings, or that the handshake is done. Raises as `Lane.open` does."""
        lane = self._lane
        if lane is None:
            lane = self._shake_hands(now)
            if lane is None:
                return (), []
            if self._identity.role is Role.INITIATOR:
                # The responder's answer is the proof. A record behind it may be bad, which must not hide that.
                return (), [self._open()]
        got = lane.open(now)
        if got is None:
            return (), []
        packets, events = got
        if self.lane is None:
            events.insert(0, self._open())
        return packets, events

    @property
    def more(self) -> bool:
        """Whether another complete record waits."""
        return self._lane is not None and not self._lane.opener.missing

    @property
    def missing(self) -> int:
        """Bytes that must certainly come before `next` has anything to do."""
        return self._handshake.missing(self.buffer) if self._lane is None else self._lane.opener.missing

    def _shake_hands(self, now: float) -> Lane | None:
        """Go on with the handshake; give the lane when there are keys."""
        self._handshake.advance(self.buffer)
        self._outgoing = self._from_handshake() or self._outgoing
        if self._handshake.finished:
            keys = lane_keys(self._handshake.secrets(), self._identity.role, _LANE)
            self._lane = Lane(keys, self.buffer, self._settings, now)
        return self._lane

    def _open(self) -> Opened:
        self.lane = self._lane
        self._give_up_at = math.inf
        return Opened(self._handshake.peer_report, self._resumed)

    def _from_handshake(self) -> bytearray | None:
        """Move what the handshake has to say behind headroom."""
        outgoing, self._handshake.outgoing = self._handshake.outgoing, b""
        return bytearray(HEADROOM) + outgoing if outgoing else None

    # Time

    @property
    def dead_at(self) -> float:
        """When the stream is to be given up if nothing comes."""
        return self._give_up_at if self.lane is None else min(self._give_up_at, self.last_heard + self._settings.dead_s)

    @property
    def due_at(self) -> float:
        """When something is due: to be sent, or the end."""
        if self._outgoing is not None:
            return -math.inf
        return self.dead_at if self.lane is None else min(self.lane.due_at, self.dead_at)
