"""What a tunnel tells its caller besides packets: frozen values, in the order in which they happened."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Opened:
    """The peer has proved its key and is there; packets may be sealed from now on.

    `report` is the payload of the peer's handshake message, encrypted and authenticated with it. `resumed` is true
    when this session had been open before, on an earlier stream.
    """

    report: bytes
    resumed: bool


@dataclass(frozen=True, slots=True)
class CreditReceived:
    """The peer has received `total` of the bytes that `Tunnel.sent` counts on this stream."""

    total: int


@dataclass(frozen=True, slots=True)
class RttMeasured:
    """A PING came back after `rtt_s` seconds, queues included."""

    rtt_s: float


@dataclass(frozen=True, slots=True)
class LaneSilent:
    """Nothing was heard for too long, or the handshake took too long: the stream was given up, close it."""


@dataclass(frozen=True, slots=True)
class PeerClosed:
    """The peer ended the session, for good. `reason` is the peer's text, empty when it only agreed to our own close."""

    reason: str


Event = Opened | CreditReceived | RttMeasured | LaneSilent | PeerClosed
