"""A laptop and its LAN in namespaces of this run, by scripts/lab/alone.sh; ends with this run, however that ends."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from .processes import descendants
from .real import DIRECTORY
from .waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .processes import Process

REPO = Path(__file__).resolve().parents[2]
LAB = REPO / "scripts" / "lab"
READY_S = 30


class World:
    """Network, mount and PID namespaces, and in them the LAN's and the laptop's; `directory` holds its files.

    Nothing leads out of it, so several may run side by side, and what has the names of scripts/cluster there has them
    for itself.
    """

    def __init__(self, directory: Path, parameters: Mapping[str, str]) -> None:
        self._directory = directory
        self._environment = {**os.environ, "KTTUN_LAB": str(directory), **_kubectl(), **parameters}
        self.run = directory / "run"
        with (directory / "alone.log").open("w") as log:
            # The first process dies with us, and everything with the first process.
            self._process = subprocess.Popen(
                [
                    *("setpriv", "--pdeathsig", "KILL", "unshare", "--net", "--mount", "--pid", "--fork"),
                    *("--kill-child", "--mount-proc", LAB / "alone.sh", sys.executable),
                ],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        until(self._ready, READY_S, "a laptop")
        # Its own files name it as its own /proc does.
        first = self.find(lambda each: str(LAB / "laptop.sh") in each.words and each.status()["NSpid"].endswith("\t1"))
        (self.run / "pid" / "laptop").write_text(f"{first.pid}\n")

    def end(self) -> None:
        """End everything in it."""
        self._process.kill()
        self._process.wait()

    def network(self, name: str) -> Path:
        """Give the network namespace `laptop` or `lan`."""
        return self.path(Path(f"/run/netns/kttun-lab-{name}"))

    def path(self, path: Path) -> Path:
        """Give a file of the world as a path from outside."""
        return Path(f"/proc/{self._first.pid}/root", path.relative_to("/"))

    def execute(
        self, *words: str | Path, network: str | None = None, seconds: float = 60
    ) -> subprocess.CompletedProcess[str]:
        """Run a program in the world as root, in its own network or in that of `laptop` or `lan`."""
        within = ["nsenter", f"--net=/run/netns/kttun-lab-{network}"] if network else []
        enter = ["nsenter", f"--target={self._first.pid}", "--mount", "--pid", "--net", *within]
        return subprocess.run(
            [*enter, *words], env=self._environment, capture_output=True, text=True, timeout=seconds, check=False
        )

    def find(self, wanted: Callable[[Process], bool]) -> Process:
        """Give the first of its processes that is wanted, parents before children."""
        return next(each for each in descendants(self._process.pid) if wanted(each))

    @property
    def _first(self) -> Process:
        return descendants(self._process.pid)[0]

    def _ready(self) -> bool:
        assert self._process.poll() is None, (self._directory / "alone.log").read_text()
        return (self.run / "alone").exists()


def _kubectl() -> dict[str, str]:
    """Name the newest kubectl that scripts/cluster has built; without one the laptop has this machine's."""
    built = sorted((DIRECTORY / "bin").glob("v*/kubectl"))
    return {"KUBECTL": str(built[-1])} if built else {}
