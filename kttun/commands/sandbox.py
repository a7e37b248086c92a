"""`kttun sandbox start|stop|status`, and `fault` for tests."""

from __future__ import annotations

import json
import os
import shlex
import shutil
from typing import TYPE_CHECKING

from kttun.errors import EnvironmentFaultError, NoSuchSessionError, UsageError

if TYPE_CHECKING:
    from argparse import Namespace

    from kttun.commands.console import Console
    from kttun.sandbox.settings import Settings


def run(options: Namespace, console: Console) -> int:
    """Do what was asked of the sandbox; exit code 3 when its status is asked for and there is none."""
    try:
        from kttun.sandbox import lifecycle  # noqa: F401, PLC0415 - an extra, which not everybody has
    except ImportError as error:
        raise EnvironmentFaultError(
            f"the sandbox needs a package that is not installed: {error.name}", "pip install 'kttun[sandbox]'"
        ) from error
    return {"start": _start, "stop": _stop, "status": _status, "fault": _fault}[options.action](options, console)


def _start(options: Namespace, console: Console) -> int:
    from kttun.sandbox import lifecycle  # noqa: PLC0415

    _need_root("start")
    if shutil.which("nft") is None:
        raise EnvironmentFaultError("the sandbox needs the program nft", "apt install nftables")
    with console.step("sandbox") as step:
        settings = _settings(options)
        lifecycle.start(settings)
        step.outcome = f"ready at {settings.shape.node}"
    places = lifecycle.KUBECONFIGS
    if options.examples:
        console.say(f"next: sudo kttun up feature-1 --kubeconfig {places['dev']} -- curl -s http://web/")
    console.say(f"      kubectl --kubeconfig {places['admin']} get pods --all-namespaces")
    console.say("      sudo kttun sandbox stop")
    return 0


def _settings(options: Namespace) -> Settings:
    from kttun.host.invoker import find_invoker  # noqa: PLC0415
    from kttun.sandbox.network import taken  # noqa: PLC0415
    from kttun.sandbox.settings import Settings  # noqa: PLC0415
    from kttun.sandbox.shape import choose  # noqa: PLC0415

    user = find_invoker(os.environ)
    return Settings(
        shape=choose(taken(), node_net=options.node_net, pod_cidr=options.pod_cidr, service_cidr=options.service_cidr),
        images=dict(map(_image, options.image)),
        examples=options.examples,
        uid=user.uid,
        gid=user.gid,
    )


def _image(text: str) -> tuple[str, tuple[str, ...]]:
    name, equals, command = text.partition("=")
    words = tuple(shlex.split(command))
    if not (name and equals and words):
        raise UsageError(f"'{text}' is not NAME=COMMAND", "kttun sandbox start --image demo:1='python3 -m http.server'")
    return name, words


def _stop(_options: Namespace, console: Console) -> int:
    from kttun.sandbox import lifecycle  # noqa: PLC0415

    _need_root("stop")
    for what in lifecycle.stop():
        console.say(f"removed: {what}")
    return 0


def _status(options: Namespace, _console: Console) -> int:
    from kttun.sandbox import lifecycle  # noqa: PLC0415

    found = lifecycle.running()
    if options.json:
        print(json.dumps({"schema": 1, "running": found is not None, **(found.state if found else {})}))
        return 0 if found else NoSuchSessionError.exit_code
    if found is None:
        raise NoSuchSessionError("no sandbox is running", "sudo kttun sandbox start")
    networks = found.state["networks"]
    print(
        f"sandbox: running as process {found.pid}",
        f"  server     {found.state['server']}",
        f"  pods       {networks['pods']}",
        f"  services   {networks['services']}",
        *(f"  {user:<10} {path}" for user, path in found.state["kubeconfigs"].items()),
        sep="\n",
    )
    return 0


def _fault(options: Namespace, _console: Console) -> int:
    from kttun.sandbox.control import tell  # noqa: PLC0415

    tell(options.act, options.component)
    return 0


def _need_root(action: str) -> None:
    if os.geteuid() != 0:
        raise EnvironmentFaultError(
            "root is needed to make network namespaces and devices", f"sudo kttun sandbox {action}"
        )
