"""The developer's laptop: run something there, bring kttun up there, compare before and after."""

from __future__ import annotations

import json
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .lab import KTTUN, LAB, REPO
from .running import STARTED, Up

if TYPE_CHECKING:
    from collections.abc import Iterator

Done = subprocess.CompletedProcess[str]
PYTHON = KTTUN.parent / "python"
ENTER = REPO / "scripts" / "lab" / "enter.py"
CLIENT = Path(__file__).with_name("client.py")

SECTIONS = {
    "rules": "ip rule; ip -6 rule",
    "routes": "ip route show table all; ip -6 route show table all",
    "links": "ip -brief link",
    "addresses": "ip -brief address",
    "resolv.conf": "ls -d /etc/resolv.conf*; stat --format '%F %a %U %h %N' /etc/resolv.conf; cat /etc/resolv.conf",
    "nftables": "nft list ruleset",
    "processes": "pgrep --full --list-full '(/bin/kttun|-m kttun) '",
    "sockets": "ls -A /run/kttun",
}
"""What a session may change on the machine, and the command that shows it."""


class Laptop:
    """The laptop in the hands of one cluster user; `admin` is root there, every other one is `dev`, who may sudo."""

    def __init__(self, user: str) -> None:
        self._user = user
        self._sudo = [] if user == "admin" else ["sudo"]

    @property
    def _enter(self) -> list[str | Path]:
        return ["/usr/bin/python3", ENTER, LAB.provider.run, "--as", self._user, "--"]

    def run(self, *words: str | Path, stdin: str = "", seconds: float = 60) -> Done:
        """Run a program to its end, however it ends."""
        command: list[str | Path] = [*self._enter, *words]
        return subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=seconds, check=False)

    def output(self, *words: str | Path, stdin: str = "", seconds: float = 60) -> str:
        """Run a program that must succeed; give its stdout."""
        done = self.run(*words, stdin=stdin, seconds=seconds)
        assert done.returncode == 0, f"{words}: exit code {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def client(self, verb: str, *words: str | int, seconds: float = 60) -> Any:
        """Let client.py do something over the network; give what it says."""
        return json.loads(self.output(*client_words(verb, *words), seconds=seconds))

    def start(self, *words: str | Path) -> subprocess.Popen[str]:
        """Start a program and do not wait; stdin and stdout are pipes."""
        command: list[str | Path] = [*self._enter, *words]
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)

    def write(self, path: str, text: str) -> str:
        """Make a file on the laptop that belongs to the user; give its path."""
        self.output("tee", path, stdin=text)
        return path

    def kttun(self, *words: str, sudo: bool = False, seconds: float = 60) -> Done:
        """Run a command of kttun to its end."""
        return self.run(*(self._sudo if sudo else []), KTTUN, *words, seconds=seconds)

    @contextmanager
    def up(self, *words: str, terminal: bool = False) -> Iterator[Up]:
        """Start `kttun up`, as root by sudo; end it if the block does not."""
        up = Up([*self._enter, *self._sudo, KTTUN, "up", "--color=never", *words], terminal=terminal)
        try:
            yield up
        finally:
            up.close()

    @contextmanager
    def connected(self, *words: str) -> Iterator[Up]:
        """Give a session that is open."""
        with self.up(*words) as up:
            up.wait_for(STARTED)
            yield up

    def status(self, name: str = "feature-1") -> dict[str, Any]:
        """Give one session as `kttun status --json` tells it."""
        done = self.kttun("status", "--json", "--session", name)
        (session,) = json.loads(done.stdout)["sessions"]
        found: dict[str, Any] = session
        return found

    def router(self) -> str:
        """Give the default gateway, which is the DNS server of the laptop's LAN too."""
        (route,) = json.loads(self.output("ip", "-json", "route", "show", "default"))
        return str(route["gateway"])

    def device_of(self, address: str) -> str:
        """Ask the kernel by which device packets to this address leave."""
        (route,) = json.loads(self.output("ip", "-json", "route", "get", address))
        return str(route["dev"])


def client_words(verb: str, *words: str | int) -> list[str]:
    """Give the command line of client.py."""
    return [str(PYTHON), str(CLIENT), verb, *map(str, words)]


def snapshot() -> dict[str, str]:
    """Give all that kttun may change on the laptop, by section, as text that is equal when nothing has changed."""
    script = "".join(f"echo '=== {name}'\n{{ {command}; }} 2>/dev/null\n" for name, command in SECTIONS.items())
    text = Laptop("admin").output("bash", "-s", stdin=f"{script}exit 0\n")
    sections = [part.partition("\n") for part in text.split("=== ")[1:]]
    assert [name for name, _, _ in sections] == list(SECTIONS), text
    return {name: content for name, _, content in sections}
