"""The one error of this room."""

from kttun.errors import UsageError


class InvalidValueError(UsageError, ValueError):
    """A value that no host could be brought into: a bad name, a bad network, a bad document."""
