"""The one error tree, shallow on purpose: each leaf is an exit code that users can rely on.

An error's text is the message: one line, no full stop, what is wrong and where. `hints` are next steps, printed one a
line behind ``hint:``. Anything that leaves kttun as another exception is a bug of ours (exit code 70).
"""

from typing import ClassVar


class KttunError(Exception):
    """What kttun says to a person before it ends."""

    exit_code: ClassVar[int] = 70

    def __init__(self, message: str, *hints: str) -> None:
        super().__init__(message)
        self.message = message
        self.hints = hints


class EnvironmentFaultError(KttunError):
    """The environment said no: cluster, rights, network, resolver."""

    exit_code = 1


class UsageError(KttunError):
    """The command line or a configuration value is wrong."""

    exit_code = 2


class NoSuchSessionError(KttunError):
    """No such session, or nothing to show."""

    exit_code = 3


class RefusedError(KttunError):
    """Refused to protect the user: route or Service conflict, or somebody else holds it."""

    exit_code = 4


class TunnelError(KttunError):
    """The tunnel or the gateway failed and could not be restored."""

    exit_code = 5


class InternalError(KttunError):
    """A bug in kttun."""

    exit_code = 70
