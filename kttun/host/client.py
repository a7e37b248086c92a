"""The worker's end of the channel to the privileged helper."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Self

from kttun.errors import EnvironmentFaultError, InternalError, KttunError, RefusedError
from kttun.host.channel import Channel, ChannelError
from kttun.host.inforce import InForce

if TYPE_CHECKING:
    from kttun.routing.hostconfig import HostConfig
    from kttun.routing.names import Address

DESCRIPTOR_VARIABLE = "KTTUN_HELPER_FD"
"""Environment variable by which `spawn` tells the worker its end of the channel."""


@dataclass(frozen=True, slots=True)
class DnsSocket:
    """One socket on port 53 of an address of the TUN; TCP ones listen. Blocking until the worker says else."""

    address: Address
    tcp: bool
    socket: socket.socket


@dataclass(frozen=True, slots=True)
class Applied:
    """What one `apply` brought: descriptors only when they are new; they belong to the caller, who closes them."""

    in_force: InForce
    echo: tuple[str, ...]
    """The command lines that the changes equal."""
    tun_fd: int | None = None
    dns: tuple[DnsSocket, ...] = ()
    control: socket.socket | None = None


class HelperClient:
    """Asks the helper; closing it makes the helper undo everything."""

    def __init__(self, connection: socket.socket) -> None:
        self._channel = Channel(connection)
        self._socket = connection

    @classmethod
    def from_environment(cls) -> Self:
        """Take over the end that `spawn` left to this process; programs started later do not inherit it.

        Raises InternalError when there is none.
        """
        try:
            connection = socket.socket(fileno=int(os.environ.pop(DESCRIPTOR_VARIABLE)))
        except (KeyError, ValueError, OSError) as error:
            raise InternalError(f"{DESCRIPTOR_VARIABLE} does not name the helper's socket") from error
        connection.set_inheritable(False)
        return cls(connection)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def fileno(self) -> int:
        """Return the descriptor to watch: between requests it becomes readable only when the helper is gone."""
        return self._channel.fileno()

    def close(self) -> None:
        """End the session on this machine: the helper undoes everything."""
        self._channel.close()

    def is_gone(self) -> bool:
        """Say whether the helper ended; without waiting."""
        try:
            return not self._socket.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        except OSError:
            return True

    def apply(self, config: HostConfig) -> Applied:
        """Make the machine match `config`; blocks until it does (resolvectl may take seconds).

        Raises RefusedError when a live session has the name, EnvironmentFaultError when the machine said no (it is as
        before then) or the helper is gone, InternalError when the helper found the configuration invalid.
        """
        try:
            self._channel.send({"do": "apply", "config": config.to_json()})
            message = self._channel.receive()
        except (OSError, ChannelError) as error:
            raise _gone() from error
        if message is None:
            raise _gone()
        reply: Any = message.parsed()
        if not reply["ok"]:
            raise _error_of(reply)
        in_force = InForce.from_json(reply["in_force"])
        return _applied(
            in_force, tuple(reply["echo"]), dict(zip(reply["descriptors"], message.descriptors, strict=True))
        )


def _applied(in_force: InForce, echo: tuple[str, ...], descriptors: dict[str, int]) -> Applied:
    tun_fd = descriptors.pop("tun", None)
    control = descriptors.pop("control", None)
    dns = []
    for name, descriptor in descriptors.items():
        kind, _, address = name.partition(" ")
        dns.append(DnsSocket(ip_address(address), kind == "tcp", socket.socket(fileno=descriptor)))
    return Applied(
        in_force=in_force,
        echo=echo,
        tun_fd=tun_fd,
        dns=tuple(dns),
        control=None if control is None else socket.socket(fileno=control),
    )


def _error_of(reply: Any) -> KttunError:
    kinds = {RefusedError.exit_code: RefusedError, EnvironmentFaultError.exit_code: EnvironmentFaultError}
    return kinds.get(reply["exit_code"], InternalError)(reply["error"], *reply["hints"])


def _gone() -> EnvironmentFaultError:
    return EnvironmentFaultError("the privileged helper is gone, so this session cannot go on", "start it again")
