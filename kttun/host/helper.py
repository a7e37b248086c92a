"""The root half of a session: makes the machine match a `HostConfig`, and undoes all of it at the end of its channel.

Theory of operation. One request, `apply`, carries the whole desired state; the answer carries what is in force, the
command lines that it equals, and descriptors that are new. Nothing is remembered for the undo that the kernel does not
know as well: each step of `Session.undo` looks for what is there, so it works after any half-done change. The undo is
armed (the `finally` of `serve`) before the first request is read, and runs whatever ends the loop: end of file because
the worker closed or died, a broken rule, an exception.

The helper parses no packet and no kubeconfig, resolves no name, opens no network connection and runs no program but
resolvectl from the system's own directories. A request that is not valid is answered by an error and changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from kttun.errors import KttunError
from kttun.host import netlink, tun
from kttun.host.channel import Channel, ChannelError, Sender
from kttun.host.echo import Echo
from kttun.host.inforce import InForce
from kttun.host.resolver.choice import choose
from kttun.host.resolver.resolvconf import Resolvconf
from kttun.host.resolver.resolved import TRUSTED_PATH, Resolved
from kttun.host.sockets import ControlSocket, claim_control_socket, open_dns_sockets
from kttun.routing.hostconfig import HostConfig
from kttun.routing.invalid import InvalidValueError

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from kttun.host.channel import Message
    from kttun.host.resolver.method import Method
    from kttun.host.tun import Tun
    from kttun.routing.names import Address, ResolverPlan


@dataclass(frozen=True, slots=True)
class Places:
    """Where the helper finds things of the machine; tests and `kttun run` have their own."""

    run_dir: Path = Path("/run/kttun")
    resolv_conf: Path = Path("/etc/resolv.conf")
    tun_device: Path = tun.DEVICE
    search_path: str = TRUSTED_PATH


@dataclass(slots=True)
class NewDescriptors:
    """What one `apply` opened for the worker: names as the client knows them, in the order of the descriptors."""

    names: list[str] = field(default_factory=list)
    descriptors: list[int] = field(default_factory=list)
    sockets: list[socket.socket] = field(default_factory=list)

    def add(self, name: str, opened: socket.socket | Tun) -> None:
        """Remember one to hand up."""
        self.names.append(name)
        self.descriptors.append(opened.fileno())

    def add_own(self, name: str, opened: socket.socket) -> None:
        """Remember one that only the worker keeps."""
        self.add(name, opened)
        self.sockets.append(opened)

    def close(self) -> None:
        """Close our copies of what only the worker keeps."""
        for each in self.sockets:
            each.close()


class Session:
    """Everything of one session that is on this machine."""

    def __init__(self, places: Places, uid: int, gid: int, echo: Echo) -> None:
        self._places, self._uid, self._gid, self._echo = places, uid, gid, echo
        self._config: HostConfig | None = None
        self._tun: Tun | None = None
        self._control: ControlSocket | None = None
        self._dns: frozenset[Address] = frozenset()
        self._resolver: Method | None = None

    def apply(self, config: HostConfig, new: NewDescriptors) -> InForce:
        """Make `config` so; on failure go back to the last one that held (or to nothing) and raise."""
        self._refuse_other_identity(config)
        before, had_control = self._config, self._control is not None
        try:
            in_force = self._make_so(config, new)
        except BaseException:
            if before is None:
                self.undo()
            else:
                if not had_control:
                    self._step("control socket", self._undo_control)
                self._step("back to the last configuration", lambda: self._make_so(before, NewDescriptors()))
            raise
        self._config = config
        self._dns = frozenset(config.dns_listen)
        return in_force

    def undo(self) -> None:
        """Take everything back, last things first; a step that fails is reported and does not stop the others."""
        self._step("resolver", self._undo_resolver)
        if self._tun is not None:
            device = self._tun
            self._step("routes and rules", lambda: netlink.undo(device, self._echo))
        self._step("control socket", self._undo_control)
        self._step(f"device {self._tun.name if self._tun else ''}", self._undo_tun)
        self._config, self._dns = None, frozenset()

    def _make_so(self, config: HostConfig, new: NewDescriptors) -> InForce:
        """Routes and resolver come last: nothing falls into a tunnel whose other parts are not there yet."""
        if not config.control_socket:
            self._undo_control()
        elif self._control is None:
            self._control = claim_control_socket(self._places.run_dir, config.session, self._uid, self._gid)
            new.add_own("control", self._control.listener)
            self._echo.did(f"listen on {self._control.path}")
        if self._tun is None:
            self._tun = tun.open_tun(config.tun_name, config.offloads, self._places.tun_device)
            new.add("tun", self._tun)
            self._echo.did(f"ip tuntap add dev {self._tun.name} mode tun vnet_hdr")
        for address in config.dns_listen:
            if address not in self._dns:
                for name, server in zip(("udp", "tcp"), open_dns_sockets(address), strict=True):
                    new.add_own(f"{name} {address}", server)
        network = netlink.apply(self._tun, config, self._echo)
        self._apply_resolver(config.session, config.resolver)
        return InForce(
            tun_name=self._tun.name,
            tun_index=self._tun.index,
            tun_mtu=network.tun_mtu,
            offloads=self._tun.offloads,
            addresses=network.addresses,
            routes=network.routes,
            throws=network.throws,
            table=network.table,
            resolver=None if self._resolver is None else self._resolver.name,
        )

    def _refuse_other_identity(self, config: HostConfig) -> None:
        old = self._config
        if old and (old.session, old.tun_name, old.offloads) != (config.session, config.tun_name, config.offloads):
            raise InvalidValueError("a session keeps its name, its TUN's name and its offloads until it ends")

    def _apply_resolver(self, session: str, plan: ResolverPlan | None) -> None:
        if plan is None:
            self._undo_resolver()
        elif self._tun is not None:
            if self._resolver is None:
                resolv_conf, search_path = self._places.resolv_conf, self._places.search_path
                self._resolver = choose(
                    plan.mode, (Resolved(resolv_conf, search_path), Resolvconf(session, resolv_conf))
                )
            self._resolver.apply(self._tun.name, plan, self._echo)

    def _undo_resolver(self) -> None:
        resolver, self._resolver = self._resolver, None
        if resolver is not None and self._tun is not None:
            resolver.undo(self._tun.name, self._echo)

    def _undo_control(self) -> None:
        control, self._control = self._control, None
        if control is not None:
            control.remove()
            self._echo.did(f"rm {control.path}")

    def _undo_tun(self) -> None:
        device, self._tun = self._tun, None
        if device is not None:
            device.close()
            self._echo.did(f"ip link del {device.name}")

    def _step(self, what: str, act: Callable[[], object]) -> None:
        try:
            act()
        except Exception as error:  # noqa: BLE001  # an undo goes on, whatever one step meets
            self._echo.failed(what, error)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a session ended: steps of the undo that failed, the rule of the channel that was broken, what was undone."""

    not_undone: tuple[str, ...] = ()
    broken_rule: str | None = None
    undone: tuple[str, ...] = ()
    """Command lines, as in `Echo`."""


def serve(connection: socket.socket, worker: Sender, gid: int, places: Places | None = None) -> Outcome:
    """Serve one worker until its end of file, then undo.

    `connection` is the helper's end of `Channel.pair`; bytes from anybody but `worker` end the session.
    """
    echo = Echo()
    session = Session(places or Places(), worker.uid, gid, echo)
    broken_rule = None
    try:
        with Channel(connection, worker) as channel:
            _answer_all(channel, session, echo)
    except ChannelError as error:
        broken_rule = str(error)
    except ConnectionError:
        pass  # the worker died while an answer was on its way: an end of file like any other
    finally:
        session.undo()
    return Outcome(tuple(echo.failures), broken_rule, echo.take())


def _answer_all(channel: Channel, session: Session, echo: Echo) -> None:
    while message := channel.receive():
        new = NewDescriptors()
        try:
            in_force = session.apply(_config_of(message), new)
        except KttunError as error:
            channel.send(_error_reply(error, echo))
        else:
            reply = {"ok": True, "echo": echo.take(), "in_force": in_force.to_json(), "descriptors": new.names}
            channel.send(reply, new.descriptors)
        finally:
            new.close()


def _config_of(message: Message) -> HostConfig:
    try:
        request = message.parsed()
    except ValueError as error:
        raise InvalidValueError(f"the request is not JSON: {error}") from error
    if not isinstance(request, dict) or set(request) != {"do", "config"} or request["do"] != "apply":
        raise InvalidValueError("the helper knows one request: apply")
    return HostConfig.from_json(request["config"])


def _error_reply(error: KttunError, echo: Echo) -> dict[str, object]:
    failures = [f"could not go back: {failure}" for failure in echo.failures]
    echo.failures.clear()
    return {
        "ok": False,
        "error": error.message,
        "hints": [*error.hints, *failures],
        "exit_code": error.exit_code,
        "echo": echo.take(),
    }
