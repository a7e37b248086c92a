"""The network through kttun is the network, but for what docs/conformance.md lists and explains."""

from __future__ import annotations

import json
import os
import subprocess
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from .lab import LAB, REPO, pods, service_address, unused_pod_address, wait_until_available, workload_net
from .laptop import PYTHON

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .laptop import Laptop

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

PROGRAM = Path(__file__).with_name("conformance.py")
EXPLAINED = REPO / "docs" / "conformance.md"
FILTERED = 9999
PLAIN = f"kttun-plain-{os.getpid()}"
NETWORK, ROUTER, OBSERVER = "172.31.99.0/30", "172.31.99.1", "172.31.99.2"
SECONDS = 240


def test_whatever_differs_from_a_plain_network_is_explained(tmp_path, admin):
    wait_until_available("kube-system")
    target = pods("ends")[0]
    with filtered_port(target):
        plain = seen_plainly(tmp_path / "plain.json")
        tunnel = seen_through_kttun(admin, tmp_path / "kttun.json")
    differences = {key: (plain[key], tunnel[key]) for key in plain if plain[key] != tunnel[key]}
    assert differences == explained()


def arguments() -> list[str]:
    return [
        str(PROGRAM),
        f"--target={pods('ends')[0]}",
        f"--service={service_address('ends')}",
        f"--dns={service_address('kube-dns', 'kube-system')}",
        f"--unused={unused_pod_address()}",
        f"--filtered={FILTERED}",
    ]


def seen_plainly(values: Path) -> dict[str, Any]:
    """Look from a namespace whose packets are simply routed."""
    with routed_namespace():
        command = ["ip", "netns", "exec", PLAIN, PYTHON, *arguments(), f"--json={values}"]
        subprocess.run(command, check=True, timeout=SECONDS)
    return dict(json.loads(values.read_text()))


def seen_through_kttun(laptop: Laptop, values: Path) -> dict[str, Any]:
    """Look from the laptop, as its root, with a session to the namespace."""
    with laptop.connected("feature-1"):
        values.write_text(laptop.output(PYTHON, *arguments(), seconds=SECONDS))
    return dict(json.loads(values.read_text()))


@contextmanager
def routed_namespace() -> Iterator[None]:
    """Make a namespace that is as far from the pods as the laptop is by kttun, with no address translation."""
    pod = pods("web", "feature-2")[0]
    with ExitStack() as undo:
        router = undo.enter_context(LAB.provider.router(NETWORK, workload_net(pod), pod))
        run("ip", "netns", "add", PLAIN)
        undo.callback(run, "ip", "netns", "delete", PLAIN)
        run("ip", "link", "add", "plain", "netns", PLAIN, "type", "veth", "peer", "plain", "netns", str(router))
        undo.callback(run, "ip", "-n", PLAIN, "link", "delete", "plain")
        for namespace, address in ((router, ROUTER), (Path("/run/netns", PLAIN), OBSERVER)):
            enter = ["nsenter", f"--net={namespace}", "ip"]
            run(*enter, "address", "add", f"{address}/30", "dev", "plain")
            run(*enter, "link", "set", "plain", "up")
        run("ip", "-n", PLAIN, "route", "add", "default", "via", ROUTER)
        yield


@contextmanager
def filtered_port(address: str) -> Iterator[None]:
    """Let the pod with this address drop what comes to one port."""
    enter = ["nsenter", f"--net={workload_net(address)}", "nft"]
    rules = (
        f"table inet conformance {{ chain in {{ type filter hook input priority 0; tcp dport {FILTERED} drop; }}; }}"
    )
    run(*enter, rules)
    try:
        yield
    finally:
        run(*enter, "delete table inet conformance")


def run(*command: str) -> None:
    subprocess.run(command, check=True, timeout=30)


def explained() -> dict[str, tuple[Any, Any]]:
    """Read the table: behaviour, routed, kttun (both as JSON in backquotes), why."""
    rows = [line.strip("| \n").split(" | ") for line in EXPLAINED.read_text().splitlines() if line.startswith("| ")]
    return {row[0]: (json.loads(row[1].strip("`")), json.loads(row[2].strip("`"))) for row in rows[2:]}
