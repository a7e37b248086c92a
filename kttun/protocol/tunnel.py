"""`Tunnel`: one end of a session as a value. Packets, bytes and time go in; bytes, packets and events come out.

It does no I/O, reads no clock and draws no random numbers: `now` is the caller's monotonic time in seconds on each call
and never goes back. How a caller uses it:

1. `attach` when there is a fresh stream. Then send what `data_to_send` gives, until it gives None; do so again after
   every call that may have made something due: `received`, `more`, `close`, and when `deadline` has come.
2. When the stream is readable: receive into `buffer()`, then `received(n, now)`; write `packets` to the TUN before the
   next call, look at `events`, and call `more(now)` while `more` is true.
3. From `Opened` on, `seal` packets as long as `in_flight` is below your limit, and tell the limit to `set_window`.
4. Sleep no longer than until `deadline()`, then call `handle_timer`.
5. When the stream ends: `detach`. After a `RemoteProtocolError`, `LaneSilent` or `PeerClosed` the tunnel has detached
   itself: send what `data_to_send` still gives, then close the stream. While `state` is not closed, attach again.

The states and their theory are in `states`, the bytes in `preface`, `handshake`, `records` and `frames`. There is one
lane now, number 0; keys and preface are made for more.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from kttun.protocol.errors import LocalProtocolError, RemoteProtocolError
from kttun.protocol.events import LaneSilent, Opened, PeerClosed
from kttun.protocol.handshake import Identity
from kttun.protocol.settings import Settings
from kttun.protocol.states import Cue, State, advance
from kttun.protocol.stream import Stream

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kttun.protocol.events import Event
    from kttun.protocol.frames import Packet
    from kttun.protocol.lane import Lane
    from kttun.protocol.noise import Role

_DEFAULTS = Settings()


class Received(NamedTuple):
    """What one record brought."""

    packets: Sequence[memoryview]
    """Each a virtio_net_hdr and an IP packet, valid until the next `received` or `more`."""
    events: Sequence[Event]
    more: bool
    """Whether another complete record waits: call `more`."""


class Tunnel:
    """One end of the session `session_id` (16 bytes, known to both ends).

    `static` is this end's key, `peer_static` the peer's public one (32 bytes). `report` is what the peer gets as
    `Opened.report`, at most 32 KiB, encrypted and authenticated. `random_bytes(n)` gives n unpredictable bytes
    (`os.urandom`); it is asked for 32 at each `attach`. Raises `LocalProtocolError` when a size is wrong.
    """

    def __init__(
        self,
        role: Role,
        static: X25519PrivateKey,
        peer_static: bytes,
        *,
        session_id: bytes,
        report: bytes,
        random_bytes: Callable[[int], bytes],
        now: float,
        settings: Settings = _DEFAULTS,
    ) -> None:
        self._identity = Identity(role, static, peer_static, session_id, report)
        self._random_bytes = random_bytes
        self._settings = settings
        self._stream: Stream | None = None
        self._last_words: bytearray | None = None
        self._was_open = False
        self._skipped = 0
        self._last_heard = now
        self.state = State.CONNECTING
        self.since = now
        """When `state` last changed, seconds."""

    # Streams come and go

    def attach(self, now: float) -> None:
        """Begin a handshake on a fresh stream, with fresh keys; an old stream that is still there is given up.

        The initiator then has something to send, the responder waits. Raises `LocalProtocolError` when closing or
        closed, and for a `peer_static` that is no usable public key.
        """
        ephemeral = X25519PrivateKey.from_private_bytes(self._random_bytes(32))
        stream = Stream(self._identity, ephemeral, self._settings, now, resumed=self._was_open)
        self._leave(Cue.ATTACH, now)
        self._stream = stream

    def detach(self, now: float) -> None:
        """Forget the stream: it has ended, or the caller gives it up. May be called at any time, also twice."""
        self._leave(Cue.LOST, now, self._last_words)

    def successor(self, now: float) -> Tunnel:
        """Give another tunnel for the same session, on which a second stream can prove itself beside the first.

        For a responder: anybody who reaches its port can bring a stream, and `attach` would give up the live one for
        it. Attach the stranger to a successor instead, and let that take this one's place when it says `Opened`.
        """
        who = self._identity
        successor = Tunnel(
            who.role,
            who.static,
            who.peer_static,
            session_id=who.session_id,
            report=who.report,
            random_bytes=self._random_bytes,
            now=now,
            settings=self._settings,
        )
        successor._was_open = self._was_open
        successor.state = State.RESUMING if self._was_open else State.CONNECTING
        return successor

    def close(self, reason: str, now: float) -> None:
        """End the session for good; the peer hears `reason` (at most 1024 bytes of UTF-8, longer ones are cut).

        While open the state becomes closing until the peer agrees, else closed at once. May be called twice.
        """
        if self._stream is not None and self._stream.close(reason, now):
            self._become(Cue.CLOSE, now)
        else:
            self._leave(Cue.CLOSE, now, self._last_words)

    # Outbound

    def seal(self, packets: Sequence[Packet], now: float) -> bytearray:
        """Give one record with these packets: `HEADROOM` free bytes, then what the stream is to carry.

        Each packet is a virtio_net_hdr (10 bytes) and an IP packet, as read from the TUN; together, 4 bytes added for
        each, they have at most `frames.PACKETS_LIMIT` bytes. Control frames that are due ride in front. Records must
        be sent in the order in which they were made, with those of `data_to_send` among them. Raises
        `LocalProtocolError`, with nothing used up, when the tunnel is not open, and for no packets, too many bytes
        or a packet without its header.
        """
        lane = self._lane
        if self.state is not State.OPEN or lane is None:
            raise LocalProtocolError(f"a tunnel that is {self.state} cannot seal packets")
        return lane.seal(packets, now)

    def data_to_send(self, now: float) -> bytearray | None:
        """Give what is due without packets, `HEADROOM` free bytes in front, or None; ask again until None."""
        if self._last_words is not None:
            last_words, self._last_words = self._last_words, None
            return last_words
        return None if self._stream is None else self._stream.data_to_send(now)

    def set_window(self, limit: int) -> None:
        """Let the next record tell the peer that at most `limit` bytes will be in flight, if that is news.

        It only decides how often the peer credits; keeping to it is the caller's work. Without an open stream nothing
        is remembered: a fresh stream begins with the default of 512 KiB.
        """
        if self._lane is not None:
            self._lane.credit.limit = max(0, limit)

    # Inbound

    def buffer(self) -> memoryview:
        """Give free memory, 128 KiB at least, for `recv_into`.

        Raises `LocalProtocolError` without a stream, or when `more` was not called though it was true.
        """
        return self._attached().buffer.room()

    def received(self, n: int, now: float) -> Received:
        """Take note of `n` bytes at the front of `buffer()` and give what the first complete record brings.

        Raises `RemoteProtocolError` for what the protocol forbids; the tunnel has then detached itself. Records before
        the bad one were given; nothing of it or behind it is.
        """
        self._attached().received(n, now)
        return self.more(now)

    def more(self, now: float) -> Received:
        """Give what the next complete record brings; empty when there is none. Raises as `received` does."""
        stream = self._attached()
        try:
            packets, events = stream.next(now)
        except RemoteProtocolError:
            self._leave(Cue.LOST, now, stream.refusal())
            raise
        more = stream.more
        for event in events:
            if isinstance(event, Opened):
                self._become(Cue.OPENED, now)
                self._was_open = True
            elif isinstance(event, PeerClosed):
                self._obey_close(stream, now)
                return Received(packets, events, more=False)
        return Received(packets, events, more)

    def _obey_close(self, stream: Stream, now: float) -> None:
        """Agree to the peer's CLOSE, or send our own if it has not left yet; then there is nothing more to say."""
        stream.close("", now)
        self._leave(Cue.PEER_CLOSED, now, stream.data_to_send(now))

    # Time

    def deadline(self) -> float:
        """Give when something is due next, in the caller's seconds; minus infinity for at once, infinity for never."""
        return math.inf if self._stream is None else self._stream.due_at

    def handle_timer(self, now: float) -> list[Event]:
        """Give up a stream that was silent for too long, in its handshake, while open, or after our CLOSE.

        `LaneSilent` means that the stream is to be closed; look at `state` for what became of the session.
        """
        if self._stream is None or now < self._stream.dead_at:
            return []
        self.detach(now)
        return [LaneSilent()]

    # What a caller may look at

    @property
    def last_heard(self) -> float:
        """When bytes last came, or the present stream was attached, seconds."""
        return self._last_heard if self._stream is None else self._stream.last_heard

    @property
    def sent(self) -> int:
        """Bytes of records with packets sealed on this stream; each counts `len(record) - HEADROOM`."""
        return 0 if self._lane is None else self._lane.credit.sent

    @property
    def credited(self) -> int:
        """Of `sent`, what the peer has credited."""
        return 0 if self._lane is None else self._lane.credit.credited

    @property
    def in_flight(self) -> int:
        """Bytes of `sent` that are not credited yet."""
        return self.sent - self.credited

    @property
    def rtt(self) -> float | None:
        """The last round trip of a PING on this stream, seconds; None before the first."""
        return None if self._lane is None else self._lane.liveness.rtt

    @property
    def missing(self) -> int:
        """Bytes that must certainly come before there is anything to give, for SO_RCVLOWAT (socket(7)).

        0 when `more` has something to give at once, and without a stream.
        """
        return 0 if self._stream is None else self._stream.missing

    @property
    def skipped(self) -> int:
        """Frames of kinds that this version does not know, over the whole session."""
        return self._skipped + (0 if self._lane is None else self._lane.skipped)

    # Inside

    @property
    def _lane(self) -> Lane | None:
        """The lane on which the peer has proved itself."""
        return None if self._stream is None else self._stream.lane

    def _become(self, cue: Cue, now: float) -> None:
        state = advance(self.state, cue)
        if state is not self.state:
            self.state, self.since = state, now

    def _leave(self, cue: Cue, now: float, last_words: bytearray | None = None) -> None:
        """Change the state and forget the stream, its keys and what was still to be said on it but `last_words`."""
        self._become(cue, now)
        self._skipped, self._last_heard = self.skipped, self.last_heard
        self._stream, self._last_words = None, last_words

    def _attached(self) -> Stream:
        if self._stream is None:
            raise LocalProtocolError(f"a tunnel that is {self.state} has no stream: attach one")
        return self._stream
