"""What a link tells its owner, the tunnel's own events among it, and how it stands when it is asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kttun.protocol.events import Event

if TYPE_CHECKING:
    from kttun.link.carrier import LaneLostError
    from kttun.protocol.errors import RemoteProtocolError
    from kttun.protocol.states import State


@dataclass(frozen=True, slots=True)
class LaneLost:
    """The session's lane has ended; the session goes on when another carrier is attached.

    `error` says why. Some `RemoteProtocolError`s say that another lane would be in vain.
    """

    error: LaneLostError | RemoteProtocolError


@dataclass(frozen=True, slots=True)
class LaneRefused:
    """At the gateway: a stream ended before it had proved to be the session's; nothing has changed."""

    error: LaneLostError | RemoteProtocolError


@dataclass(frozen=True, slots=True)
class TunLost:
    """The TUN device is gone, and with it all use of the link; `reason` is the system's."""

    reason: str


@dataclass(frozen=True, slots=True)
class Closed:
    """The session is over at this end, whoever ended it; the last event."""


LinkEvent = Event | LaneLost | LaneRefused | TunLost | Closed


@dataclass(frozen=True, slots=True)
class LinkStatus:
    """How the link stands: bytes, seconds of the link's clock, bytes a second; None where there is nothing yet."""

    state: State
    since: float
    last_heard: float
    carrier: str | None
    rtt_s: float | None
    min_rtt_s: float | None
    in_flight: int
    limit: int
    rate: float
    queued: int
