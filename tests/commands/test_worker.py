"""`up` from the ground to the open tunnel and back, with a real session; helper and Job are fakes that keep notes.

Whatever ends it, everything that was armed is undone, the Job last.
"""

import os
import signal
import socket
from dataclasses import replace
from ipaddress import ip_address, ip_network
from types import SimpleNamespace

import pytest
from fakes.far_end import REPORT, FarEnd, make_tun

from kttun.cluster.discovery import Discovery
from kttun.cluster.gateway import Gateway
from kttun.commands import worker
from kttun.commands.ground import Ground
from kttun.commands.surroundings import Surroundings
from kttun.commands.worker import work
from kttun.config import RouteChoice
from kttun.errors import EnvironmentFaultError, InternalError, RefusedError, TunnelError
from kttun.host.client import Applied, DnsSocket
from kttun.host.inforce import InForce
from kttun.host.tun import Offload
from kttun.link import control
from kttun.protocol.events import PeerClosed
from kttun.routing.hostconfig import OffloadWish
from kttun.routing.plan import ConnectedNetwork, ExistingRoute, PlannedRoute

SERVICES = (PlannedRoute(ip_network("10.96.0.0/12"), "Services"), PlannedRoute(ip_network("fd00:96::/112"), "Services"))
NAMED = replace(REPORT, forwards_ipv6=True, nameservers=("10.96.0.10",), search=("svc.cluster.local",))
EVERYTHING = ("apply", "create", "wait", "extend", "apply", "apply", "close", "delete")


class World:
    """All around the worker: `notes` is what was done, in order; `faults` lets an act fail, `after` follows one."""

    def __init__(self, folder):
        self.notes, self.configs, self.wishes = [], [], []
        self.faults, self.after, self.met = {}, {}, []
        self.report = NAMED
        self.path = folder / "shop.sock"
        self.far = None
        self._tun, self._kernel = make_tun()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self.path))
        self._listener.listen()
        self.helper_end, self._helper_far = socket.socketpair()
        self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._udp.bind(("127.0.0.1", 0))

    def act(self, name):
        self.notes.append(name)
        if name in self.faults:
            raise self.faults.pop(name)
        self.after.pop(name, lambda: None)()

    # The other sessions

    neighbours = ()

    def side_by_side(self, plan, server, own):
        self.met.append((plan, server, own))
        if "side_by_side" in self.faults:
            raise self.faults["side_by_side"]
        return self.neighbours

    # The helper

    def apply(self, config):
        self.act("apply")
        self.configs.append(config)
        resolver = config.resolver and "resolvconf"
        in_force = InForce("kttun7", 7, config.tun_mtu, Offload.TCP, config.addresses, (), (), 1, resolver)
        if len(self.configs) > 1:
            return Applied(in_force, ("ip route add ...",))
        dns = (DnsSocket(config.addresses[0].ip, tcp=False, socket=self._udp),) if config.dns_listen else ()
        return Applied(in_force, ("ip tuntap add ...",), self._tun.fileno(), dns, self._listener)

    def fileno(self):
        return self.helper_end.fileno()

    def close(self):
        self.act("close")
        self.helper_end.close()
        self._helper_far.settimeout(60)
        self.undone = self._helper_far.recv(1) == b""  # the end of file that makes the helper undo everything

    def die(self):
        self._helper_far.shutdown(socket.SHUT_WR)

    # The Job

    name = "kttun-shop-x"

    def job(self, _login, session, _choice, settings):
        self.session, self.settings = session, settings
        self.far = FarEnd(settings.client_key, self.report.to_json(), settings.session_id)
        return self

    def create(self):
        self.act("create")

    def wait(self, progress):
        progress("the image is being pulled")
        self.act("wait")
        return Gateway(self.name, "pod-x", "n1", self.far.public_key)

    def extend(self):
        self.act("extend")

    def delete(self):
        self.act("delete")

    # The lanes

    def opener(self, *_arguments):
        return self

    def __call__(self):
        self.act("dial")
        return self.far.carrier()

    def proved(self):
        pass

    def failed(self):
        pass

    def free(self):
        if self.far is not None:
            self.far.free()
        for each in (self._tun, self._kernel, self._listener, self.helper_end, self._helper_far, self._udp):
            each.close()


@pytest.fixture(autouse=True)
def handlers():
    before = {n: signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    for number in before:
        signal.signal(number, signal.default_int_handler)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def ground():
    """Some Services, one conflict; `login` is only passed on."""
    around = Surroundings(
        protected=(),
        connected=(ConnectedNetwork(ip_network("192.168.7.0/24"), "eth0"),),
        existing=(ExistingRoute(ip_network("10.100.0.0/24"), "docker0", "Docker"),),
        nameservers=(ip_address("192.168.7.1"),),
        devices=(),
    )
    login = SimpleNamespace(namespace="shop", context="lab", server="https://192.0.2.1", endpoint=None)
    return Ground(login, Discovery(SERVICES, (), ()), around, RouteChoice())


@pytest.fixture
def world(tmp_path, monkeypatch, ground):
    made = World(tmp_path)
    monkeypatch.setattr(worker, "survey", lambda config, _console: replace(ground, choice=config.routes))
    monkeypatch.setattr(worker, "side_by_side", made.side_by_side)
    monkeypatch.setattr(worker, "GatewayJob", made.job)
    monkeypatch.setattr(worker, "LaneOpener", made.opener)
    monkeypatch.setattr(worker, "set_offloads", lambda _fd, wish: made.wishes.append(wish))
    yield made
    made.free()


@pytest.fixture
def up(world, options, console, monkeypatch):
    """A function that runs `up` with more options; `then` is done when all is said to be connected."""

    def start(line="", then=None, command=()):
        config = replace(options(f"up {line}").config, command=tuple(command))
        if then is not None:
            monkeypatch.setattr(worker._Worker, "_say_connected", lambda _self: then())
        return work(config, console, world)

    return start


def without_dials(world):
    return tuple(note for note in world.notes if note != "dial")


def said(console):
    return console.stream.getvalue()


def end(world):
    control.ask(world.path, "down", 30)


def ask_and_end(world, answers):
    """Collect what the session answers to `status` and `routes`, then end it."""
    answers |= {op: control.ask(world.path, op, 30) for op in ("status", "routes")}
    end(world)


def test_a_session_comes_up_answers_and_goes_down_again(up, world):
    answers = {}
    assert up(then=lambda: ask_and_end(world, answers)) == 0
    assert without_dials(world) == EVERYTHING
    assert world.far.heard(PeerClosed) == PeerClosed(worker.FAREWELL)
    assert world.undone
    status, routes = answers["status"], answers["routes"]
    assert (status["name"], status["state"], status["interface"]) == ("shop", "open", "kttun7")
    assert status["gateway"] == {"job": "kttun-shop-x", "pod": "pod-x", "node": "n1"}
    assert status["addresses"] == [str(address.ip) for address in world.configs[0].addresses]
    assert (status["routes"], status["routes_mode"]) == (3, "networks")
    assert status["dns"]["mode"] == "resolvconf"
    assert [route["cidr"] for route in routes["tunnel"]] == ["10.96.0.0/12", "10.244.0.0/24", "fd00:96::/112"]


def test_the_steps_are_said_in_their_order(up, world, console):
    assert up(then=lambda: end(world)) == 0
    lines = [line.rpartition(" (")[0] or line for line in said(console).splitlines()]
    assert lines == [
        f"+ device     kttun7 {world.configs[0].addresses[0].ip}",
        "the image is being pulled",
        "+ gateway    pod pod-x on n1",
        "+ tunnel     plain, engine kernel, pod MTU 1450",
        "+ routes     10.96.0.0/12, 10.244.0.0/24, fd00:96::/112",
        "kttun: warning: 10.100.0.0/24 of docker0",
        "hint: keep it out of the tunnel with --exclude 10.100.0.0/24",
        "+ names      resolvconf sends cluster.local and its short names to us",
    ]


def test_routes_come_after_the_tunnel_and_names_after_routes(up, world):
    assert up(then=lambda: end(world)) == 0
    device, routes, names = world.configs
    assert (device.routes, device.resolver, device.tun_mtu) == ((), None, 1500)
    assert (len(routes.routes), routes.resolver, routes.tun_mtu) == (3, None, 1450)
    assert names == replace(routes, resolver=names.resolver)
    assert names.resolver.nameservers == (names.addresses[0].ip,)


def test_both_ends_of_the_tun_are_told_to_the_gateway(up, world):
    assert up("--linger 90 -s mine", then=lambda: end(world)) == 0
    settings = world.settings
    assert settings.laptop == world.configs[0].addresses
    assert [ours.network for ours in settings.laptop] == [theirs.network for theirs in settings.gateway]
    assert (settings.linger_s, settings.port, world.session) == (90.0, worker.PORT, "mine")


@pytest.mark.parametrize(
    ("offloads", "wish"), [(Offload.TCP, OffloadWish.TCP), (Offload.TCP | Offload.UDP, OffloadWish.ALL)]
)
def test_our_kernel_hands_over_only_what_the_gateways_takes(up, world, offloads, wish):
    world.report = replace(NAMED, offloads=int(offloads))
    assert up(then=lambda: end(world)) == 0
    assert world.wishes == [wish]


def test_what_the_gateway_does_not_forward_is_in_no_plan(up, world):
    world.report = replace(NAMED, forwards_ipv6=False)
    answers = {}
    assert up("--exclude fd00:96::7", then=lambda: ask_and_end(world, answers)) == 0
    assert {route.version for route in world.configs[-1].routes + world.configs[-1].throws} == {4}
    assert [route["cidr"] for route in answers["routes"]["tunnel"]] == ["10.96.0.0/12", "10.244.0.0/24"]
    assert answers["routes"]["excluded"] == []


def test_without_names_no_port_is_asked_for_and_no_resolver_touched(up, world, console):
    assert up("--dns off", then=lambda: end(world)) == 0
    assert [config.dns_listen for config in world.configs] == [(), ()]
    assert "+ names      off" in said(console)


def test_many_routes_are_counted(up, world, console):
    world.report = replace(NAMED, networks=tuple(f"10.{n}.0.0/16" for n in range(200, 210)))
    assert up(then=lambda: end(world)) == 0
    assert "+ routes     10.96.0.0/12, 10.200.0.0/16, 10.201.0.0/16, 10.202.0.0/16 and 8 more (" in said(console)


@pytest.mark.parametrize(
    ("step", "done"),
    [
        ("apply", ("apply", "close")),
        ("create", ("apply", "create", "close", "delete")),
        ("wait", ("apply", "create", "wait", "close", "delete")),
        ("extend", ("apply", "create", "wait", "extend", "close", "delete")),
    ],
)
@pytest.mark.parametrize("error", [RefusedError("no"), KeyError("a bug")], ids=["refused", "bug"])
def test_a_step_that_fails_undoes_those_before_it(up, world, step, done, error):
    world.faults[step] = error
    with pytest.raises(type(error)):
        up()
    assert without_dials(world) == done


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("step", ["apply", "create", "wait", "extend"])
def test_a_signal_at_any_step_undoes_everything_with_its_own_code(up, world, console, step, number, code):
    world.after[step] = lambda: os.kill(os.getpid(), number)
    world.after["close"] = lambda: os.kill(os.getpid(), signal.SIGINT)
    assert up() == code
    assert world.notes[-1] == ("close" if step == "apply" else "delete")
    assert f"{signal.Signals(number).name}: undoing everything" in said(console)


def test_ctrl_c_ends_an_open_session(up, world):
    assert up(then=lambda: os.kill(os.getpid(), signal.SIGINT)) == 130
    assert world.far.heard(PeerClosed) == PeerClosed(worker.FAREWELL)
    assert world.notes[-2:] == ["close", "delete"]


def test_a_job_that_cannot_be_deleted_is_told_and_how_it_ends(up, world, console):
    world.faults["delete"] = EnvironmentFaultError("the API server cannot be reached")
    assert up(then=lambda: end(world)) == 0
    assert said(console).splitlines()[-2:] == [
        "kttun: warning: the gateway Job kttun-shop-x could not be deleted: the API server cannot be reached",
        "hint: it ends by itself 60 s after it heard of us last",
    ]


def test_a_helper_that_is_gone_ends_the_session(up, world):
    with pytest.raises(TunnelError, match="the root helper is gone"):
        up(then=world.die)
    assert world.notes[-1] == "delete"


def test_a_gateway_that_does_not_forward_is_refused(up, world):
    world.report = replace(NAMED, forwards_ipv4=False)
    with pytest.raises(EnvironmentFaultError, match="does not forward packets"):
        up()
    assert world.far.heard(PeerClosed) == PeerClosed(worker.FAREWELL)
    assert without_dials(world) == ("apply", "create", "wait", "close", "delete")


def test_routes_that_move_a_protected_address_are_rolled_back(up, world, monkeypatch):
    def moved(_around):
        raise RefusedError("API server would leave by kttun7")

    monkeypatch.setattr(worker, "check_unmoved", moved)
    with pytest.raises(RefusedError):
        up()
    assert world.notes[-2:] == ["close", "delete"]


def test_a_helper_without_a_device_is_a_bug(up, world, monkeypatch):
    real = world.apply
    monkeypatch.setattr(world, "apply", lambda config: replace(real(config), tun_fd=None))
    with pytest.raises(InternalError, match="no device"):
        up()
    assert world.notes == ["apply", "close"]


@pytest.mark.parametrize(("command", "code"), [(("true",), 0), (("sh", "-c", "exit 42"), 42)])
def test_a_command_runs_inside_and_its_code_is_ours(up, world, console, command, code):
    assert up(command=command) == code
    assert world.notes[-1] == "delete"
    assert "Ctrl-C" not in said(console)


def test_a_session_without_a_command_says_how_to_end_it(up, world, console, monkeypatch):
    monkeypatch.setattr(worker.Session, "wait", lambda _self: 0)
    assert up() == 0
    lines = said(console).splitlines()
    assert lines[-2].startswith("connected to shop in ")
    assert lines[-1] == "Ctrl-C ends the session and undoes everything"


def test_acts_are_echoed_to_those_who_debug(up, world, console):
    console.debug = True
    assert up(then=lambda: end(world)) == 0
    assert said(console).count("# ip route add ...") == 2


@pytest.mark.parametrize("with_helper", [False, True])
def test_a_dry_run_prints_the_plan_and_changes_nothing(world, options, console, capsys, with_helper):
    assert work(options("up --dry-run").config, console, world if with_helper else None) == 0
    assert capsys.readouterr().out == (
        "tunnel    10.96.0.0/12         Services\n"
        "tunnel    fd00:96::/112        Services\n"
        "conflict  10.100.0.0/24        docker0 (Docker)\n"
    )
    assert world.notes == []


def test_a_neighbour_with_the_same_networks_is_told(up, world, console):
    world.neighbours = ["db"]
    assert up(then=lambda: end(world)) == 0
    assert said(console).count("session db has the same networks: what connects from now on goes by this one") == 1
    assert [(server, own) for _, server, own in world.met] == [
        ("https://192.0.2.1", ""),
        ("https://192.0.2.1", "kttun7"),
    ]
    assert any(str(route.cidr) == "10.244.0.0/24" for route in world.met[1][0].tunnel)


def test_networks_that_another_session_holds_end_it_before_anything_is_changed(up, world):
    world.faults["side_by_side"] = RefusedError("held")
    with pytest.raises(RefusedError, match="held"):
        up()
    assert world.notes == []


def test_a_dns_server_that_cannot_be_asked_from_here_is_told(up, world, console):
    world.report = replace(NAMED, nameservers=("169.254.169.254",))
    assert up(then=lambda: end(world)) == 0
    assert "the cluster's DNS server 169.254.169.254 cannot be asked from here" in said(console)
    assert [config.resolver for config in world.configs] == [None, None]


@pytest.mark.parametrize(("uid", "warned"), [(0, True), (1000, False)])
def test_a_command_of_root_itself_is_said_to_have_no_capabilities(up, console, monkeypatch, uid, warned):
    monkeypatch.setattr(worker.os, "getuid", lambda: uid)
    assert up(command=["true"]) == 0
    assert ("true runs without root's capabilities" in said(console)) is warned


def test_a_session_from_which_everything_is_excluded_says_so(up, world, console):
    assert up("--exclude 0.0.0.0/0,::/0", then=lambda: end(world)) == 0
    assert "routes     none: all networks are kept out of the tunnel" in said(console)
