"""The worker of `kttun up`, from the kubeconfig to the open tunnel and back; it reads in the order in which it happens.

Every change arms its undo on one stack before it is made. The stack is unwound whatever ends us: names stop, the
gateway hears good-bye, the helper takes routes and resolver back at the end of its socket, and the Job is deleted last,
since only that needs a cluster that still answers.
"""

from __future__ import annotations

import os
import select
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from kttun import __version__
from kttun.cluster.gateway import GatewayJob
from kttun.commands.ground import survey
from kttun.commands.inner import inner_addresses
from kttun.commands.inside import run_inside
from kttun.commands.interrupts import Interrupted, interrupts
from kttun.commands.lanes import LaneOpener
from kttun.commands.names import Names
from kttun.commands.neighbours import side_by_side
from kttun.commands.plan_text import plan_lines
from kttun.commands.session import Session
from kttun.commands.surroundings import check_unmoved
from kttun.config import DnsMode, RoutesMode
from kttun.errors import EnvironmentFaultError, InternalError, KttunError, TunnelError
from kttun.host.tun import Offload, set_offloads
from kttun.link.control import ControlServer
from kttun.link.pump import Link
from kttun.protocol.noise import Role
from kttun.protocol.tunnel import Tunnel
from kttun.rendezvous import GatewayReport, GatewaySettings
from kttun.routing.hostconfig import HostConfig, OffloadWish
from kttun.routing.plan import RoutePlan

if TYPE_CHECKING:
    import socket

    from kttun.cluster.gateway import Gateway
    from kttun.commands.console import Console
    from kttun.commands.ground import Ground
    from kttun.commands.inside import HeldBack
    from kttun.config import UpConfig
    from kttun.host.client import Applied, DnsSocket, HelperClient

PORT = 7107
"""Where the gateway listens on its loopback; its pod holds nothing else."""
FIRST_MTU = 1500
"""The TUN's MTU until the gateway has told its pod's."""
FAREWELL = "the client ended the session"


def work(config: UpConfig, console: Console, helper: HelperClient | None) -> int:
    """Connect, stay, undo; give the exit code. Without a helper only the plan is printed. Raises `KttunError`."""
    with ExitStack() as undo:
        try:
            with interrupts() as signals:
                ground = survey(config, console)
                if helper is None or config.dry_run:
                    sys.stdout.writelines(f"{line}\n" for line in plan_lines(ground.plan().to_json()))
                    return 0
                return _Worker(config, console, helper, ground, undo).run(signals.held_back)
        except Interrupted as interrupted:
            console.say(f"{interrupted}: undoing everything")
            return interrupted.exit_code


@dataclass(frozen=True, slots=True)
class _Device:
    """What the helper opened for us."""

    name: str
    fd: int
    offloads: Offload
    dns: tuple[DnsSocket, ...]
    control: socket.socket

    @classmethod
    def of(cls, applied: Applied) -> Self:
        if applied.tun_fd is None or applied.control is None:
            raise InternalError("the helper gave no device")
        in_force = applied.in_force
        return cls(in_force.tun_name, applied.tun_fd, in_force.offloads, applied.dns, applied.control)


class _Worker:
    """One `up` that changes things; each step leaves behind what the next one needs."""

    def __init__(
        self, config: UpConfig, console: Console, helper: HelperClient, ground: Ground, undo: ExitStack
    ) -> None:
        self._config = config
        self._console = console
        self._helper = helper
        self._ground = ground
        self._undo = undo
        self._name = config.session or ground.login.namespace
        self._plan = ground.plan()
        self._key = X25519PrivateKey.generate()
        self._session_id = os.urandom(16)

    def run(self, held_back: HeldBack) -> int:
        self._look_at_neighbours()
        self._make_device()
        gateway = self._start_gateway()
        session, report = self._open_tunnel(gateway)
        self._set_routes(gateway, report)
        names = self._set_names(report)
        self._serve_control(gateway, session, report, names)
        self._say_connected()
        if not self._config.command:
            return session.wait()
        if os.getuid() == 0:
            self._console.warn(
                f"{self._config.command[0]} runs without root's capabilities: kttun was not started by sudo",
                "what needs them, such as tcpdump or mount, may run beside kttun up instead of behind it",
            )
        return run_inside(self._config.command, session, held_back)

    def _look_at_neighbours(self) -> None:
        for name in side_by_side(self._plan, self._ground.login.server, own=""):
            self._console.say(f"session {name} has the same networks: what connects from now on goes by this one")

    def _make_device(self) -> None:
        taken = [*self._plan.routes, *(route.cidr for route in self._ground.around.existing)]
        (laptop4, gateway4), (laptop6, gateway6) = inner_addresses(self._session_id, taken)
        self._laptop, self._far_end = (laptop4, laptop6), (gateway4, gateway6)
        self._host = HostConfig(
            session=self._name,
            tun_mtu=FIRST_MTU,
            tun_name=self._config.tun_name,
            addresses=self._laptop,
            dns_listen=() if self._config.dns is DnsMode.OFF else (laptop4.ip,),
            control_socket=True,
        )
        with self._console.step("device") as step:
            self._undo.callback(self._helper.close)
            self._device = _Device.of(self._apply())
            step.outcome = f"{self._device.name} {laptop4.ip}"

    def _start_gateway(self) -> Gateway:
        settings = GatewaySettings(
            client_key=self._key.public_key().public_bytes_raw(),
            session_id=self._session_id,
            port=PORT,
            laptop=self._laptop,
            gateway=self._far_end,
            linger_s=self._config.gateway.linger_s,
        )
        self._job = GatewayJob(self._ground.login, self._name, self._config.gateway, settings)
        with self._console.step("gateway") as step:
            self._undo_last(self._delete_job)
            self._job.create()
            gateway = self._job.wait(self._console.say)
            step.outcome = f"pod {gateway.pod} on {gateway.node}"
        return gateway

    def _open_tunnel(self, gateway: Gateway) -> tuple[Session, GatewayReport]:
        login, fd = self._ground.login, self._device.fd
        opener = LaneOpener(login.endpoint, login.namespace, gateway.pod, PORT, self._config.carrier)
        tunnel = Tunnel(
            Role.INITIATOR,
            self._key,
            gateway.public_key,
            session_id=self._session_id,
            report=GatewayReport(version=__version__, offloads=int(self._device.offloads)).to_json(),
            random_bytes=os.urandom,
            now=time.monotonic(),
        )
        inner = [address.ip.packed for address in self._laptop]
        session = Session(opener, self._config.gateway.linger_s, self._console.warn)
        session.link = Link(fd, tunnel, inner_addresses=inner, at_gateway=False, on_event=session.on_event)
        with self._console.step("tunnel") as step:
            self._undo.callback(session.close, FAREWELL)
            report = session.open()
            set_offloads(fd, OffloadWish.ALL if report.offloads & Offload.UDP else OffloadWish.TCP)
            step.outcome = f"{session.link.status().carrier}, engine {report.engine}, pod MTU {report.pod_mtu}"
        session.link.loop.call_soon(lambda: self._watch_helper(session))
        _check_forwarding(report)
        self._job.extend()
        return session, report

    def _set_routes(self, gateway: Gateway, report: GatewayReport) -> None:
        with self._console.step("routes") as step:
            self._plan = _that_is_forwarded(self._ground.plan_with(report, gateway.pod), report)
            side_by_side(self._plan, self._ground.login.server, own=self._device.name)
            routes = self._plan.routes
            self._host = replace(self._host, tun_mtu=report.pod_mtu, routes=routes, throws=self._plan.throws)
            self._apply()
            check_unmoved(self._ground.around)
            more = f" and {len(routes) - 4} more" if len(routes) > 4 else ""
            step.outcome = ", ".join(map(str, routes[:4])) + more or "none: all networks are kept out of the tunnel"
        for clash in self._plan.conflicts:
            self._console.warn(
                f"{clash.cidr} of {clash.device} ({clash.owner}) overlaps the cluster's networks",
                f"keep it out of the tunnel with --exclude {clash.cidr}",
            )

    def _set_names(self, report: GatewayReport) -> Names:
        names = Names(self._config.dns, self._ground.login.namespace, report, self._plan)
        with self._console.step("names") as step:
            self._undo.callback(names.stop)
            own = [address.ip for address in self._laptop]
            names.start(self._device.dns, own, self._ground.around.nameservers)
            if names.plan is not None:
                self._host = replace(self._host, resolver=names.plan)
                names.in_force(self._apply().in_force.resolver)
            step.outcome = names.text
        for server in names.out_of_reach:
            self._console.warn(
                f"the cluster's DNS server {server} cannot be asked from here: it is another one on each machine",
                "names of the cluster do not resolve; addresses work",
            )
        return names

    def _serve_control(self, gateway: Gateway, session: Session, report: GatewayReport, names: Names) -> None:
        login = self._ground.login
        fixed = {
            "name": self._name,
            "namespace": login.namespace,
            "context": login.context,
            "server": login.server,
            "interface": self._device.name,
            "addresses": [str(address.ip) for address in self._laptop],
            "engine": report.engine,
            "engine_reason": report.engine_reason,
            "gateway": {"job": gateway.job, "pod": gateway.pod, "node": gateway.node},
            "routes": len(self._plan.tunnel),
            "routes_mode": _routes_mode(self._plan),
            "dns": names.status(),
            "intercepts": [],
        }
        handlers = {
            "status": lambda _: fixed | session.status(),
            "routes": lambda _: self._plan.to_json(),
            "down": lambda _: _finish(session),
        }
        control = ControlServer(self._device.control, handlers, owner_uid=os.getuid())
        self._undo.callback(control.close)
        control.start()

    def _say_connected(self) -> None:
        took = time.monotonic() - self._console.started
        self._console.say(self._console.bold(f"connected to {self._ground.login.namespace} in {took:.2f} s"))
        if not self._config.command:
            self._console.say("Ctrl-C ends the session and undoes everything")

    # Helpers of the steps

    def _apply(self) -> Applied:
        applied = self._helper.apply(self._host)
        for line in applied.echo:
            self._console.act(line)
        return applied

    def _undo_last(self, callback: Any) -> None:
        """Arm an undo behind those that are armed already: it alone needs the cluster, which may be away."""
        armed = self._undo.pop_all()
        self._undo.callback(callback)
        self._undo.push(armed)

    def _watch_helper(self, session: Session) -> None:
        """Let the link's loop watch: a thread blocked in poll(2) would hold the socket open beyond its close."""
        loop, helper = session.link.loop, self._helper.fileno()

        def gone(_mask: int) -> None:
            loop.forget(helper)
            session.fail(TunnelError("the root helper is gone", "sudo kttun down removes what it left"))

        loop.watch(helper, gone, select.EPOLLRDHUP)

    def _delete_job(self) -> None:
        try:
            self._job.delete()
        except KttunError as error:
            self._console.warn(
                f"the gateway Job {self._job.name} could not be deleted: {error.message}",
                f"it ends by itself {self._config.gateway.linger_s:g} s after it heard of us last",
            )


def _routes_mode(plan: RoutePlan) -> RoutesMode:
    ranges = any(route.cidr.num_addresses > 1 for route in plan.tunnel)
    return RoutesMode.NETWORKS if ranges else RoutesMode.ADDRESSES


def _that_is_forwarded(plan: RoutePlan, report: GatewayReport) -> RoutePlan:
    """Leave IPv6 out of the whole plan where the gateway does not forward it: programs then take IPv4 at once."""
    if report.forwards_ipv6:
        return plan
    return RoutePlan(
        tunnel=tuple(route for route in plan.tunnel if route.cidr.version == 4),
        excluded=tuple(route for route in plan.excluded if route.cidr.version == 4),
        conflicts=tuple(conflict for conflict in plan.conflicts if conflict.cidr.version == 4),
    )


def _finish(session: Session) -> dict[str, Any]:
    session.finish(0)
    return {"ending": True}


def _check_forwarding(report: GatewayReport) -> None:
    if not report.forwards_ipv4:
        raise EnvironmentFaultError(
            "the gateway pod does not forward packets: net.ipv4.ip_forward is 0 in it",
            "its CNI decides that (Calico: container_settings.allow_ip_forwarding)",
        )
