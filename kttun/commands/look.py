"""The guided look of the demo: what a person would try first, and whether it shows what it should.

The commands run as the person, not as root. One whose program is not installed here is left out, and that is said.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import time
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING

from kttun.commands.elevate import this_program
from kttun.host.invoker import find_invoker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager
    from ipaddress import IPv4Network, IPv6Network
    from typing import Any

    from kttun.commands.console import Console
    from kttun.host.invoker import Invoker

    Network = IPv4Network | IPv6Network
    Uninterrupted = Callable[[], AbstractContextManager[None]]

LONGEST_S = 15.0
"""A command that takes longer shows nothing: here all ends are on one machine."""
FETCH = "import urllib.request; print(urllib.request.urlopen('http://web/', timeout=5).read().decode())"
UDP = "exec 3<>/dev/udp/udp-echo/7007 && echo hello >&3 && timeout 5 head -c 6 <&3"
"""head and not read, which takes single bytes: of a datagram, the rest would be lost."""
REFUSED = ": </dev/tcp/web/81"


@dataclass(frozen=True, slots=True)
class Output:
    """What a command printed on both its outputs, its exit code, and the seconds it took."""

    text: str
    code: int
    took_s: float


class Amiss(Exception):  # noqa: N818 - it is a finding, and becomes a line of text
    """A command did not show what it should; the text says what is missing."""


@dataclass(frozen=True, slots=True)
class Step:
    """One command. `saw` gives the sentence about its output, or raises `Amiss`."""

    line: str
    saw: Callable[[Output], str]


def look(view: Console, networks: Mapping[str, str], uninterrupted: Uninterrupted = nullcontext) -> list[str]:
    """Go through all steps; give the lines of those that did not hold. `networks` are the sandbox's, by name.

    `uninterrupted` makes a context in which no signal becomes an exception; one that comes in another moment ends the
    command that runs.
    """
    invoker = find_invoker(os.environ)
    sight, failed = _Sight(networks), []
    for step in sight.steps():
        if not _is_there(step.line, invoker):
            view.say(f"\n# not installed here, so left out: {step.line}")
            continue
        view.say("\n" + view.bold(f"$ {step.line}"))
        output = _run(step.line, invoker, uninterrupted)
        view.say(output.text.rstrip())
        try:
            view.say(f"# {step.saw(output)}")
        except Amiss as amiss:
            view.say(f"# this did not hold: {amiss}")
            failed.append(step.line)
    return failed


class _Sight:
    """What the steps look for; a pod that an early one finds is what a later one asks."""

    def __init__(self, networks: Mapping[str, str]) -> None:
        self._pods, self._services = ip_network(networks["pods"]), ip_network(networks["services"])
        self._pod = ""

    def steps(self) -> Iterator[Step]:
        """Yield the steps in order."""
        curl = shutil.which("curl") is not None
        yield Step("curl -sS http://web/" if curl else f"python3 -c {shlex.quote(FETCH)}", self._page)
        yield Step("getent ahostsv4 web", self._service)
        yield Step("getent ahostsv4 web-headless", self._headless)
        if self._pod:
            yield Step(f"ping -c 1 -W 5 {self._pod}", self._echo)
        yield Step(f"bash -c {shlex.quote(UDP)}", self._datagram)
        yield Step(f"bash -c {shlex.quote(REFUSED)}", self._refused)
        yield Step("kttun routes", self._routes)
        yield Step("kttun status", self._status)
        yield Step("kttun stats", self._stats)

    def _page(self, output: Output) -> str:
        pod = output.text.strip()
        _need(output.code == 0 and re.fullmatch(r"web-[-a-z0-9]+", pod), "no pod of the Service web answered")
        return f"found by the Service's name, answered over TCP by its pod {pod}"

    def _service(self, output: Output) -> str:
        [address] = self._addresses(output, self._services, least=1)[:1]
        return f"the cluster's own DNS answered: {address} is of its Service range {self._services}"

    def _headless(self, output: Output) -> str:
        found = self._addresses(output, self._pods, least=2)
        self._pod = found[0]
        return f"a headless Service: the {len(found)} pods themselves, in {self._pods}"

    def _addresses(self, output: Output, network: Network, least: int) -> list[str]:
        found = list(dict.fromkeys(line.split()[0] for line in output.text.splitlines() if line.strip()))
        _need(output.code == 0 and len(found) >= least, f"there are not {least} addresses")
        _need(all(_is_in(each, network) for each in found), f"not all addresses are in {network}")
        return found

    def _echo(self, output: Output) -> str:
        rtt = re.search(r"time=([\d.]+) ?ms", output.text)
        _need(output.code == 0 and rtt, "the pod did not answer")
        return f"ICMP crosses as well: the pod itself answered, after {rtt[1] if rtt else '?'} ms"

    def _datagram(self, output: Output) -> str:
        _need((output.code, output.text.strip()) == (0, "hello"), "the datagram did not come back")
        return "UDP: the datagram went to the Service udp-echo and came back"

    def _refused(self, output: Output) -> str:
        _need(output.code != 0 and "Connection refused" in output.text, "the port was not refused")
        return f"a port where nobody listens is refused by the cluster itself, after {output.took_s * 1000:.0f} ms"

    def _routes(self, output: Output) -> str:
        lines = [line.split() for line in output.text.splitlines() if line.startswith("tunnel ")]
        inside = [ip_network(line[1]) for line in lines]
        _need(output.code == 0 and self._services in inside, f"the Service range {self._services} is not routed")
        pod = ip_address(self._pod) if self._pod else self._pods[0]
        _need(any(pod in each for each in inside), f"no route leads to the pod {pod}")
        return (
            f"only these {len(inside)} enter the tunnel, each with the source that named it; all else stays as it was"
        )

    def _status(self, output: Output) -> str:
        _need(output.code == 0 and ": open since " in output.text, "the session is not open")
        return "the session is open, through the API server's port-forward alone"

    def _stats(self, output: Output) -> str:
        counts = {
            way: int(found[1]) if (found := re.search(rf"^ +{way} +(\d+) ", output.text, re.MULTILINE)) else 0
            for way in ("tx", "rx")
        }
        _need(output.code == 0 and counts["tx"] and counts["rx"], "nothing was counted")
        return f"all of this look was {counts['tx']} packets out and {counts['rx']} in"


def _need(holds: object, otherwise: str) -> None:
    if not holds:
        raise Amiss(otherwise)


def _is_in(text: str, network: Network) -> bool:
    try:
        return ip_address(text) in network
    except ValueError:
        return False


def _words(line: str) -> list[str]:
    words = shlex.split(line)
    return [*this_program(), *words[1:]] if words[0] == "kttun" else words


def _is_there(line: str, invoker: Invoker) -> bool:
    return shutil.which(_words(line)[0], path=invoker.environment.get("PATH")) is not None


def _run(line: str, invoker: Invoker, uninterrupted: Uninterrupted) -> Output:
    # LC_ALL: what was seen is told by words that a translation would change.
    environment = {**invoker.environment, "LC_ALL": "C"}
    who: dict[str, Any] = {}
    if not invoker.is_root:
        who = {"user": invoker.uid, "group": invoker.gid, "extra_groups": invoker.groups}
    begun = time.monotonic()
    with ExitStack() as undo:
        with uninterrupted():
            process = subprocess.Popen(
                _words(line),
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                start_new_session=True,
                **who,
            )
            undo.callback(_end, process)
        try:
            text, _ = process.communicate(timeout=LONGEST_S)
        except subprocess.TimeoutExpired:
            text = f"{_end(process)}(no end after {LONGEST_S:g} s)"
    return Output(text, process.returncode, time.monotonic() - begun)


def _end(process: subprocess.Popen[str]) -> str:
    """End a command and what it started, if it has not ended; give what it said."""
    if process.poll() is not None:
        return ""
    os.killpg(process.pid, signal.SIGKILL)
    return process.communicate()[0]
