"""The command line as a parser: words in, one namespace with a `verb` and frozen values out.

kt-connect's spellings (`--excludeIps`, `--includeIps`) are accepted, so that its users can paste their lines.
"""

from __future__ import annotations

import argparse
import re
from ipaddress import ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from kttun import __version__
from kttun.config import (
    CarrierKind,
    ClusterChoice,
    DnsMode,
    Engine,
    GatewayChoice,
    RouteChoice,
    RoutesMode,
    UpConfig,
)
from kttun.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from enum import StrEnum
    from ipaddress import IPv4Network, IPv6Network

    Network = IPv4Network | IPv6Network

DEFAULT_IMAGE = f"kttun-gateway:{__version__}"

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)?")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_LONGEST_S = 366 * 86400.0
"""A longer duration is a slip of the finger, and clocks of the system overflow at some length."""
_SESSION = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


class _Parser(argparse.ArgumentParser):
    """argparse, whose errors are ours: one line, a hint, exit code 2."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(message, f"{self.prog} --help")


def parse(words: Sequence[str]) -> argparse.Namespace:
    """Parse one command line without the program's name.

    Everything after the first ``--`` is left alone as `command`. Raises `UsageError`; leaves by `SystemExit(0)` after
    ``--help`` and ``--version``, as argparse does.
    """
    ours, command = _split(words)
    options = _parser().parse_args(ours)
    if command and options.verb != "up":
        raise UsageError(f"kttun {options.verb} takes no command after --", f"kttun {options.verb} --help")
    options.words = list(words)
    options.command = command
    if options.verb == "up":
        options.config = _up_config(options)
    elif options.verb == "routes":
        options.choice = _route_choice(options)
    return options


def _split(words: Sequence[str]) -> tuple[list[str], tuple[str, ...]]:
    if "--" not in words:
        return list(words), ()
    at = list(words).index("--")
    if at + 1 == len(words):
        raise UsageError("no command follows --", "kttun up NAMESPACE -- CMD...")
    return list(words[:at]), tuple(words[at + 1 :])


def _parser() -> _Parser:
    parser = _Parser(
        prog="kttun",
        description="The network of a Kubernetes namespace on your own machine.",
        epilog="exit codes: 0 done, 1 cluster, rights or network said no, 2 wrong usage, 3 no such session, "
        "4 refused to protect you, 5 tunnel lost, 70 a bug in kttun, 130/143 ended by Ctrl-C/SIGTERM",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"kttun {__version__}")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="COMMAND", parser_class=_Parser)
    common, cluster, routes = _common(), _cluster(), _routes()
    _add_up(verbs, [common, cluster, routes])
    down = _verb(verbs, "down", [common, cluster], "end a session, and remove what a dead one left on this machine")
    down.add_argument("--all", action="store_true", help="end every session of this machine")
    status = _verb(verbs, "status", [common, cluster], "show sessions and how they are")
    status.add_argument("--json", action="store_true", help="print one JSON object")
    _add_routes(verbs, [common, cluster, routes])
    _add_rbac(verbs, [common, cluster])
    _add_sandbox(verbs, [common])
    version = _verb(verbs, "version", [common, cluster], "print the version")
    version.add_argument("--json", action="store_true", help="print one JSON object")
    return parser


def _verb(verbs: Any, name: str, parents: list[_Parser], help_: str) -> _Parser:
    made: _Parser = verbs.add_parser(
        name, parents=parents, help=help_, description=help_[0].upper() + help_[1:] + ".", allow_abbrev=False
    )
    return made


def _common() -> _Parser:
    options = _Parser(add_help=False)
    group = options.add_argument_group("everywhere")
    group.add_argument(
        "-s", "--session", type=_session, metavar="NAME", help="name of the session (else the namespace)"
    )
    group.add_argument("--debug", action="store_true", help="show each act, with seconds since the start")
    group.add_argument("--quiet", action="store_true", help="only warnings and errors")
    group.add_argument("--color", choices=("auto", "always", "never"), default="auto", help="NO_COLOR is respected")
    return options


def _cluster() -> _Parser:
    options = _Parser(add_help=False)
    group = options.add_argument_group("cluster")
    group.add_argument("--kubeconfig", type=Path, metavar="FILE", help="else KUBECONFIG, else ~/.kube/config")
    group.add_argument("--context", metavar="NAME", help="else the kubeconfig's current context")
    group.add_argument("-n", "--namespace", metavar="NS", help="else the context's namespace")
    return options


def _routes() -> _Parser:
    options = _Parser(add_help=False)
    group = options.add_argument_group("routes (CIDRs, repeated or comma separated)")
    for names, text in (
        (("--include", "--includeIps"), "route these too"),
        (("--exclude", "--excludeIps"), "never route these; wins over everything"),
        (("--service-cidr",), "the cluster's Service range, instead of discovering it"),
        (("--pod-cidr",), "the cluster's pod ranges, instead of discovering them"),
    ):
        group.add_argument(*names, type=_networks, action="extend", default=[], metavar="CIDR", help=text)
    return options


def _add_up(verbs: Any, parents: list[_Parser]) -> None:
    up = _verb(verbs, "up", parents, "connect this machine to a namespace, until Ctrl-C or until CMD ends")
    up.usage = "kttun up [NS] [options] [-- CMD...]"
    up.add_argument("ns", nargs="?", metavar="NS", help="the namespace; the same as --namespace")
    _add_choice(up, "--routes", RoutesMode, "whole networks or single addresses")
    _add_choice(up, "--dns", DnsMode, "how names are resolved")
    _add_choice(up, "--carrier", CarrierKind, "how the tunnel crosses the API server")
    up.add_argument("--tun-name", type=_tun_name, metavar="NAME", help="else the first free kttunN")
    up.add_argument("--dry-run", action="store_true", help="print the plan and change nothing")
    gateway = up.add_argument_group("gateway")
    gateway.add_argument("--image", default=DEFAULT_IMAGE, metavar="REF", help="default: %(default)s")
    gateway.add_argument("--image-pull-secret", metavar="NAME")
    gateway.add_argument("--service-account", metavar="NAME")
    gateway.add_argument("--node-selector", type=_label, action="append", default=[], metavar="K=V")
    _add_choice(gateway, "--engine", Engine, "how the gateway emits packets", without=(Engine.USERSPACE,))
    gateway.add_argument("--gateway-timeout", type=_seconds, default=60.0, metavar="S", help="default: 60s")
    gateway.add_argument("--linger", type=_seconds, default=60.0, metavar="DURATION", help="default: 60s")
    gateway.add_argument("--max-age", type=_seconds, default=86400.0, metavar="DURATION", help="default: 24h")


def _add_routes(verbs: Any, parents: list[_Parser]) -> None:
    routes = _verb(verbs, "routes", parents, "show what goes where and which source said so")
    routes.add_argument("--json", action="store_true", help="print one JSON object")
    routes.add_argument("--plan", action="store_true", help="compute from these options alone: no cluster, no root")
    routes.add_argument("--server", metavar="URL", help="with --plan: the API server")
    routes.add_argument(
        "--connected", type=_networks, action="extend", default=[], metavar="CIDR", help="with --plan: own subnets"
    )


def _add_rbac(verbs: Any, parents: list[_Parser]) -> None:
    rbac = _verb(verbs, "rbac", parents, "print the least Role and RoleBinding that kttun needs, as YAML")
    who = rbac.add_mutually_exclusive_group()
    who.add_argument("--user", metavar="U", help="bind this user")
    who.add_argument("--group", metavar="G", help="bind this group")
    rbac.add_argument("--features", metavar="LIST", default="connect", help="comma separated; default: %(default)s")


def _add_sandbox(verbs: Any, parents: list[_Parser]) -> None:
    sandbox = _verb(verbs, "sandbox", [], "an embedded practice cluster on this machine")
    actions = sandbox.add_subparsers(dest="action", required=True, metavar="ACTION", parser_class=_Parser)
    start = _verb(actions, "start", parents, "start it, with example Services, and say how to go on")
    start.add_argument("--image", action="append", default=[], metavar="NAME=COMMAND", help="let pods run a local one")
    start.add_argument(
        "--node-net", type=_ipv4_network, metavar="CIDR", help="the line between this machine and the node"
    )
    start.add_argument("--pod-cidr", type=_ipv4_network, metavar="CIDR", help="else one that is free here")
    start.add_argument("--service-cidr", type=_ipv4_network, metavar="CIDR", help="else one that is free here")
    start.add_argument("--no-examples", dest="examples", action="store_false", help="without example namespaces")
    _verb(actions, "stop", parents, "end it and remove all that it left, also after it was killed")
    status = _verb(actions, "status", parents, "show whether it runs, and where its kubeconfigs are")
    status.add_argument("--json", action="store_true", help="print one JSON object")
    fault = _verb(actions, "fault", parents, "break a part of it, for tests, or put it right")
    fault.add_argument("fault", choices=("kill", "stop", "cont", "away", "restart"))
    fault.add_argument("component", choices=("apiserver", "kubelet", "containerd", "forwarding"))


def _up_config(options: argparse.Namespace) -> UpConfig:
    if options.ns and options.namespace and options.ns != options.namespace:
        raise UsageError(f"two namespaces given: {options.ns} and {options.namespace}", "name it once")
    return UpConfig(
        cluster=ClusterChoice(options.kubeconfig, options.context, options.ns or options.namespace),
        gateway=GatewayChoice(
            image=options.image,
            image_pull_secret=options.image_pull_secret,
            service_account=options.service_account,
            node_selector=tuple(options.node_selector),
            engine=options.engine,
            timeout_s=options.gateway_timeout,
            linger_s=options.linger,
            max_age_s=options.max_age,
        ),
        routes=_route_choice(options, options.routes),
        session=options.session,
        dns=options.dns,
        carrier=options.carrier,
        tun_name=options.tun_name,
        command=options.command,
        dry_run=options.dry_run,
    )


def _route_choice(options: argparse.Namespace, mode: RoutesMode = RoutesMode.AUTO) -> RouteChoice:
    return RouteChoice(
        include=tuple(options.include),
        exclude=tuple(options.exclude),
        service_cidrs=tuple(options.service_cidr),
        pod_cidrs=tuple(options.pod_cidr),
        mode=mode,
    )


def _add_choice(group: Any, option: str, kind: type[StrEnum], help_: str, without: tuple[StrEnum, ...] = ()) -> None:
    """Add an option whose values are those of `kind`, the first of which is the default."""
    values = [each for each in kind if each not in without]

    def chosen(text: str) -> StrEnum:
        if text not in values:
            raise argparse.ArgumentTypeError(f"'{text}' is none of {', '.join(values)}")
        return kind(text)

    metavar = f"{{{','.join(values)}}}"
    group.add_argument(option, type=chosen, default=values[0], metavar=metavar, help=help_)


def _networks(text: str) -> list[Network]:
    try:
        return [_network(part.strip()) for part in text.split(",") if part.strip()]
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _ipv4_network(text: str) -> Network:
    networks = _networks(text)
    if len(networks) != 1 or networks[0].version != 4:
        raise argparse.ArgumentTypeError(f"'{text}' is not one IPv4 CIDR such as 10.96.0.0/16")
    return networks[0]


def _network(text: str) -> Network:
    try:
        meant = ip_network(text, strict=False)
    except ValueError:
        meant = None
    if meant is None or "%" in text:  # ipaddress takes a zone (fe80::%eth0/64), which no route has
        raise ValueError(f"'{text}' is not a CIDR such as 10.96.0.0/12")
    try:
        return ip_network(text)
    except ValueError:
        raise ValueError(f"'{text}' has bits set behind its prefix; {meant} is probably meant") from None


def _seconds(text: str) -> float:
    match = _DURATION.fullmatch(text)
    if not match or not float(match[1]):
        raise argparse.ArgumentTypeError(f"'{text}' is not a duration such as 90s, 10m or 24h")
    seconds = float(match[1]) * _SECONDS[match[2] or "s"]
    if seconds > _LONGEST_S:
        raise argparse.ArgumentTypeError(f"'{text}' is longer than a year")
    return seconds


def _label(text: str) -> tuple[str, str]:
    key, separator, value = text.partition("=")
    if not key or not separator:
        raise argparse.ArgumentTypeError(f"'{text}' is not KEY=VALUE")
    return key, value


def _session(text: str) -> str:
    if not _SESSION.fullmatch(text):
        raise argparse.ArgumentTypeError(f"'{text}' is not a name of lower-case letters, digits and dashes")
    return text


def _tun_name(text: str) -> str:
    # Kernel rule: shorter than IFNAMSIZ (16), no slash, no white space (net/core/dev.c, dev_valid_name).
    if not re.fullmatch(r"[A-Za-z0-9_.-]{1,15}", text) or text in {".", ".."}:
        raise argparse.ArgumentTypeError(f"'{text}' is not an interface name of at most 15 characters")
    return text
