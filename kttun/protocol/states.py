"""The life of one end of a session: five states, five cues, one table.

A *session* outlives the byte streams that carry it, so there are two ways to have no stream: never open yet
(`connecting`) and open before (`resuming`). In both, packets cannot be sealed, and a stream may be attached; what is
done on it until it is open is the business of `Handshake` and no state of its own. The difference is for people ("the
gateway was never reached" and "the tunnel is coming back") and for `Opened.resumed`.

`open` begins when the peer has *proved* that it is there now. For the initiator that is the responder's handshake
message, which answers our fresh ephemeral key. For the responder it is the first record after its own message: the
initiator's handshake message alone could be a replay (Noise revision 34 section 7.7, destination property 2), and
whoever replays it cannot make the record. So a replay never opens, resumes or closes anything.

A stream that dies, falls silent or breaks the protocol costs the stream and never the session: end of file is no word
of the peer's, and whoever cuts the stream can forge one. Only a CLOSE frame, which is authenticated, ends a session.
`closing` is the time between our CLOSE and the peer's; it also ends with the stream, which is given up after
`Settings.close_s`. When both ends close at once, each takes the other's CLOSE for the answer. An end that hears CLOSE
while open answers and is closed at once. Without an open stream there is nobody to tell, and close means closed.

A cue that has no entry is a mistake of the caller's: `LocalProtocolError`.
"""

from __future__ import annotations

from enum import StrEnum

from kttun.protocol.errors import LocalProtocolError


class State(StrEnum):
    """Where one end of the session stands."""

    CONNECTING = "connecting"
    OPEN = "open"
    RESUMING = "resuming"
    CLOSING = "closing"
    CLOSED = "closed"


class Cue(StrEnum):
    """What can move it; each is worded to stand in an error message."""

    ATTACH = "attach"
    """The caller has a fresh stream. On an open tunnel it takes the place of the old one."""
    OPENED = "open"
    """The peer has proved that it is there."""
    LOST = "detach"
    """The stream is gone: the caller said so, it was silent for too long, or it broke the protocol."""
    CLOSE = "close"
    """The caller ends the session."""
    PEER_CLOSED = "obey the peer's close"
    """The peer's CLOSE arrived."""


TRANSITIONS: dict[tuple[State, Cue], State] = {
    (State.CONNECTING, Cue.ATTACH): State.CONNECTING,
    (State.CONNECTING, Cue.OPENED): State.OPEN,
    (State.CONNECTING, Cue.LOST): State.CONNECTING,
    (State.CONNECTING, Cue.CLOSE): State.CLOSED,
    (State.OPEN, Cue.ATTACH): State.RESUMING,
    (State.OPEN, Cue.LOST): State.RESUMING,
    (State.OPEN, Cue.CLOSE): State.CLOSING,
    (State.OPEN, Cue.PEER_CLOSED): State.CLOSED,
    (State.RESUMING, Cue.ATTACH): State.RESUMING,
    (State.RESUMING, Cue.OPENED): State.OPEN,
    (State.RESUMING, Cue.LOST): State.RESUMING,
    (State.RESUMING, Cue.CLOSE): State.CLOSED,
    (State.CLOSING, Cue.LOST): State.CLOSED,
    (State.CLOSING, Cue.CLOSE): State.CLOSING,
    (State.CLOSING, Cue.PEER_CLOSED): State.CLOSED,
    (State.CLOSED, Cue.LOST): State.CLOSED,
    (State.CLOSED, Cue.CLOSE): State.CLOSED,
}


def advance(state: State, cue: Cue) -> State:
    """Give the state after `cue`; `LocalProtocolError` when the table has no such transition."""
    try:
        return TRANSITIONS[state, cue]
    except KeyError:
        raise LocalProtocolError(f"a tunnel that is {state} cannot {cue}") from None
