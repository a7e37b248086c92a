"""Times of a tunnel, one frozen value; both ends may differ, nothing here is negotiated."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Settings:
    """All in seconds."""

    heartbeat_s: float = 5.0
    """From a PONG to the next PING. Load balancers cut streams that carry no data for 60 s; a PING is data."""
    dead_s: float = 15.0
    """Without any byte for so long, an open stream is given up: three heartbeats."""
    credit_delay_s: float = 0.005
    """Longest time that a small received amount stays uncredited. Each small record of its own wakes four processes
    on the way, so not shorter; a sender's round-trip estimate contains it, so not longer."""
    handshake_s: float = 20.0
    """From `attach` to open. Longer than `dead_s`: behind a stopped API server a slow attempt succeeds the moment the
    server goes on, a new one would wait in line again."""
    close_s: float = 2.0
    """How long a close waits for the peer to agree."""
