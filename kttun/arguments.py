"""The command line as a parser: words in, one namespace with a `verb` and frozen values out.

kt-connect's spellings (`--excludeIps`, `--includeIps`) are accepted, so that its users can paste their lines.
"""

from __future__ import annotations

import argparse
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
from kttun.errors import KttunError, UsageError
from kttun.notation import (
    device_name,
    ipv4_network,
    label,
    networks,
    repetitions,
    seconds,
    session_name,
)
from kttun.settings.derive import keys_of
from kttun.settings.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from enum import StrEnum

    from kttun.settings.key import Key

DEFAULT_IMAGE = f"kttun-gateway:{__version__}"

SHELLS = ("bash", "zsh", "fish")

_OUTPUT = frozenset({"debug", "quiet", "color"})
"""Keys that shape what is printed, and so are taken by every command."""


class _Parser(argparse.ArgumentParser):
    """argparse, whose errors are ours: one line, a hint, exit code 2."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(message, f"{self.prog} --help")


def parse(
    words: Sequence[str], prog: str = "kttun", read: Callable[[Sequence[Key]], Settings] | None = None
) -> argparse.Namespace:
    """Parse one command line without the program's name `prog`.

    `read` gives the configuration, which weighs less than the words; without it there is none. Everything after the
    first ``--`` is left alone as `command`. Raises `UsageError` and what `read` raises; leaves by `SystemExit(0)` after
    ``--help`` and ``--version``, as argparse does. A broken configuration keeps nobody from a command that does without
    it, such as `down`: there it is only left as `unread`.
    """
    ours, command = _split(words)
    parser = make_parser(prog)
    options = parser.parse_args(ours)
    if command and options.verb != "up":
        raise UsageError(f"kttun {options.verb} takes no command after --", f"kttun {options.verb} --help")
    keys = config_keys()
    settings, unread = _settings(options, read, keys)
    _weigh(options, settings, keys)
    options = parser.parse_args(ours)
    options.words, options.command = list(words), command
    options.keys, options.settings, options.unread = keys, settings, unread
    if options.verb == "up":
        options.config = _up_config(options)
    elif options.verb == "routes":
        options.choice = _route_choice(options)
    return options


def _settings(
    options: argparse.Namespace, read: Callable[[Sequence[Key]], Settings] | None, keys: Sequence[Key]
) -> tuple[Settings, KttunError | None]:
    if read is None or options.no_config:
        return Settings(), None
    try:
        return read(keys), None
    except KttunError as error:
        if options.configured and getattr(options, "what", "") != "path":
            raise
        return Settings(), error


def _weigh(options: argparse.Namespace, settings: Settings, keys: Sequence[Key]) -> None:
    """Make the settings the defaults of the command that was named, so that words weigh more.

    Commands that look for what is running, or compute from their options alone, take only what shapes their output: a
    project's `namespace` begins sessions, and hides none from `status`.
    """
    taken = {key.name: key.dest for key in keys if options.configured or key.name in _OUTPUT}
    if getattr(options, "ns", None):
        taken.pop("namespace", None)
    chosen = {taken[name]: value for name, value in settings.values.items() if name in taken}
    options.parser.set_defaults(**chosen)


def config_keys() -> list[Key]:
    """Give the keys of the configuration: the long options that `up` shares with `config show`."""
    parents = [_common(), _cluster(), _routes(), _session()]
    return keys_of(_Parser(parents=parents, add_help=False))


def _split(words: Sequence[str]) -> tuple[list[str], tuple[str, ...]]:
    if "--" not in words:
        return list(words), ()
    at = list(words).index("--")
    if at + 1 == len(words):
        raise UsageError("no command follows --", "kttun up NAMESPACE -- CMD...")
    return list(words[:at]), tuple(words[at + 1 :])


def make_parser(prog: str = "kttun") -> argparse.ArgumentParser:
    """Make the whole parser; `prog` is what its usage lines call the program."""
    parser = _Parser(
        prog=prog,
        description="The network of a Kubernetes namespace on your own machine.",
        epilog="exit codes: 0 done, 1 cluster, rights or network said no, 2 wrong usage, 3 no such session, "
        "4 refused to protect you, 5 tunnel lost, 70 a bug in kttun, 130/143 ended by Ctrl-C/SIGTERM",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"kttun {__version__}")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="COMMAND", parser_class=_Parser)
    common, cluster, routes, session = _common(), _cluster(), _routes(), _session()
    _add_up(verbs, [common, cluster, routes, session])
    down = _verb(verbs, "down", [common, cluster], "end a session, and remove what a dead one left on this machine")
    down.add_argument("--all", action="store_true", help="end every session of this machine")
    status = _verb(verbs, "status", [common, cluster], "show sessions and how they are")
    status.add_argument("--json", action="store_true", help="print one JSON object")
    _add_routes(verbs, [common, cluster, routes])
    _add_stats(verbs, [common, cluster])
    _add_rbac(verbs, [common, cluster])
    _add_sandbox(verbs, [common])
    demo = _verb(verbs, "demo", [common], "show on this machine alone what kttun does, and leave nothing behind")
    demo.add_argument("--keep", action="store_true", help="leave the practice cluster and the session running")
    version = _verb(verbs, "version", [common, cluster], "print the version")
    version.add_argument("--json", action="store_true", help="print one JSON object")
    _add_config(verbs, [common, cluster, routes, session])
    completion = _verb(verbs, "completion", [common], "print what makes a shell complete kttun's command lines")
    completion.add_argument("shell", choices=SHELLS, help="what to print it for")
    return parser


def _verb(verbs: Any, name: str, parents: list[_Parser], help_: str, *, configured: bool = False) -> _Parser:
    """Add a command; `configured` ones act on the whole configuration, others take only what shapes their output."""
    made: _Parser = verbs.add_parser(
        name, parents=parents, help=help_, description=help_[0].upper() + help_[1:] + ".", allow_abbrev=False
    )
    made.set_defaults(parser=made, configured=configured)
    return made


def _common() -> _Parser:
    options = _Parser(add_help=False)
    group = options.add_argument_group("everywhere")
    group.add_argument(
        "-s", "--session", type=session_name, metavar="NAME", help="name of the session (else the namespace)"
    )
    group.add_argument("--debug", action="store_true", help="show each act, with seconds since the start")
    group.add_argument("--quiet", action="store_true", help="only warnings and errors")
    group.add_argument("--color", choices=("auto", "always", "never"), default="auto", help="NO_COLOR is respected")
    group.add_argument("--no-config", action="store_true", help="read no configuration file and no KTTUN_ variable")
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
        group.add_argument(*names, type=networks, action="extend", default=[], metavar="CIDR", help=text)
    return options


def _add_up(verbs: Any, parents: list[_Parser]) -> None:
    help_ = "connect this machine to a namespace, until Ctrl-C or until CMD ends"
    up = _verb(verbs, "up", parents, help_, configured=True)
    up.usage = f"{up.prog} [NS] [options] [-- CMD...]"
    up.add_argument("ns", nargs="?", metavar="NS", help="the namespace; the same as --namespace")
    up.add_argument("--dry-run", action="store_true", help="print the plan and change nothing")


def _session() -> _Parser:
    """Make the options that shape a session: with those above, the keys of the configuration."""
    options = _Parser(add_help=False)
    session = options.add_argument_group("session")
    _add_choice(session, "--routes", RoutesMode, "whole networks or single addresses")
    _add_choice(session, "--dns", DnsMode, "how names are resolved")
    _add_choice(session, "--carrier", CarrierKind, "how the tunnel crosses the API server")
    session.add_argument("--tun-name", type=device_name, metavar="NAME", help="else the first free kttunN")
    gateway = options.add_argument_group("gateway")
    gateway.add_argument("--image", default=DEFAULT_IMAGE, metavar="REF", help="default: %(default)s")
    gateway.add_argument("--image-pull-secret", metavar="NAME", help="the namespace's secret for its registry")
    gateway.add_argument("--service-account", metavar="NAME", help="the pod's service account; it gets no token")
    gateway.add_argument(
        "--node-selector", type=label, action="append", default=[], metavar="K=V", help="only on nodes with this label"
    )
    _add_choice(gateway, "--engine", Engine, "how the gateway emits packets", without=(Engine.USERSPACE,))
    gateway.add_argument(
        "--gateway-timeout", type=seconds, default=60.0, metavar="S", help="longest wait for its start; default: 60s"
    )
    gateway.add_argument(
        "--linger", type=seconds, default=60.0, metavar="DURATION", help="its wait for a silent laptop; default: 60s"
    )
    gateway.add_argument(
        "--max-age", type=seconds, default=86400.0, metavar="DURATION", help="its longest life; default: 24h"
    )
    return options


def _add_routes(verbs: Any, parents: list[_Parser]) -> None:
    routes = _verb(verbs, "routes", parents, "show what goes where and which source said so")
    routes.add_argument("--json", action="store_true", help="print one JSON object")
    routes.add_argument("--plan", action="store_true", help="compute from these options alone: no cluster, no root")
    routes.add_argument("--server", metavar="URL", help="with --plan: the API server")
    routes.add_argument(
        "--connected", type=networks, action="extend", default=[], metavar="CIDR", help="with --plan: own subnets"
    )


def _add_stats(verbs: Any, parents: list[_Parser]) -> None:
    stats = _verb(verbs, "stats", parents, "show a session's counters and rates")
    form = stats.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print one JSON object a line")
    form.add_argument("--tsv", action="store_true", help="print tab-separated rows")
    stats.add_argument("--by", choices=("lane", "drop"), help="only this part")
    stats.add_argument("--interval", type=seconds, metavar="S", help="print again after this time, until Ctrl-C")
    stats.add_argument("--count", type=repetitions, metavar="N", help="print so often; default interval: 1s")


def _add_rbac(verbs: Any, parents: list[_Parser]) -> None:
    rbac = _verb(
        verbs, "rbac", parents, "print the least Role and RoleBinding that kttun needs, as YAML", configured=True
    )
    who = rbac.add_mutually_exclusive_group()
    who.add_argument("--user", metavar="U", help="bind this user")
    who.add_argument("--group", metavar="G", help="bind this group")
    rbac.add_argument("--features", metavar="LIST", default="connect", help="comma separated; default: %(default)s")


def _add_config(verbs: Any, parents: list[_Parser]) -> None:
    config = _verb(verbs, "config", parents, "show the configuration, and where each value comes from", configured=True)
    config.usage = f"{config.prog} {{show,path}} [options]"
    config.add_argument("what", choices=("show", "path"), help="show: all values; path: the files")
    config.add_argument("--json", action="store_true", help="print one JSON object")


def _add_sandbox(verbs: Any, parents: list[_Parser]) -> None:
    sandbox = _verb(verbs, "sandbox", [], "an embedded practice cluster on this machine")
    actions = sandbox.add_subparsers(dest="action", required=True, metavar="ACTION", parser_class=_Parser)
    start = _verb(actions, "start", parents, "start it, with example Services, and say how to go on")
    start.add_argument("--image", action="append", default=[], metavar="NAME=COMMAND", help="let pods run a local one")
    start.add_argument(
        "--node-net", type=ipv4_network, metavar="CIDR", help="the line between this machine and the node"
    )
    start.add_argument("--pod-cidr", type=ipv4_network, metavar="CIDR", help="else one that is free here")
    start.add_argument("--service-cidr", type=ipv4_network, metavar="CIDR", help="else one that is free here")
    start.add_argument("--no-examples", dest="examples", action="store_false", help="without example namespaces")
    _verb(actions, "stop", parents, "end it and remove all that it left, also after it was killed")
    status = _verb(actions, "status", parents, "show whether it runs, and where its kubeconfigs are")
    status.add_argument("--json", action="store_true", help="print one JSON object")
    fault = _verb(actions, "fault", parents, "break a part of it, for tests, or put it right")
    fault.add_argument("act", choices=("kill", "stop", "cont"))
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
