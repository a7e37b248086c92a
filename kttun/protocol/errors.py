"""Who broke the protocol: we (`LocalProtocolError`) or the peer (`RemoteProtocolError`).

These are no `KttunError`s: what a person should hear depends on the command, which maps them. Any other exception that
leaves this room is a bug of this room.
"""


class ProtocolError(Exception):
    """The protocol was broken. The text is one line without a full stop."""


class LocalProtocolError(ProtocolError):
    """A caller of this room did what the present state or a limit forbids. Nothing has changed, nothing is lost."""


class RemoteProtocolError(ProtocolError):
    """The peer, or something between, sent what the protocol forbids; the stream cannot be used any further.

    The tunnel is already detached from it: send what `Tunnel.data_to_send` still gives (a refusal that names the
    reason), close the stream, and attach another one if the leaf below does not say that it would be in vain.
    """


class VersionMismatchError(RemoteProtocolError):
    """The ends speak different versions; another stream changes nothing.

    `ours` and `theirs` are protocol versions, `peer` is what to call the other end.
    """

    def __init__(self, ours: int, theirs: int, peer: str) -> None:
        super().__init__(f"{peer} speaks protocol {theirs}, this kttun speaks {ours}")
        self.ours = ours
        self.theirs = theirs


class UnknownSessionError(RemoteProtocolError):
    """The responder serves another session: the stream reached the wrong gateway, or this one was started anew."""


class AuthenticationError(RemoteProtocolError):
    """The handshake does not authenticate: the other end holds a different key than the one we were told."""
