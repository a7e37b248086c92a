"""Run programs on the laptop and on the node of scripts/cluster, each with a time-out, each ended by its process id."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

REPO = Path(__file__).resolve().parents[2]
CLUSTER = str(REPO / "scripts" / "cluster")
KTTUN = str(REPO / ".venv" / "bin" / "kttun")
LAB = Path(os.environ.get("KTTUN_LAB") or Path.home() / ".cache" / "kttun-lab")
ENDS = str(LAB / "bin" / "ends")
NODE = "kttun-lab-node"
NAMESPACE = "feature-1"

LAPTOP = (CLUSTER, "laptop", "--")
START_S = 60.0
END_S = 20.0


class BenchError(Exception):
    """A measurement could not be made."""


def output(*command: str, seconds: float = 60.0, stdin: str | None = None) -> str:
    """Run a program to its end and return what it printed; raises `BenchError`."""
    try:
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired as error:
        raise BenchError(f"{' '.join(command)}: not done after {seconds} s") from error
    if done.returncode:
        raise BenchError(f"{' '.join(command)}: exit code {done.returncode}: {done.stderr[-500:]}")
    return done.stdout


def kubectl(*words: str, stdin: str | None = None) -> str:
    """Ask the cluster as its administrator."""
    return output(CLUSTER, "kubectl", *words, stdin=stdin)


def pod_address(selector: str) -> str:
    """Return the address of the first pod with these labels."""
    words = ("get", "pod", "-n", NAMESPACE, "-l", selector, "-o", "jsonpath={.items[0].status.podIP}")
    return kubectl(*words).strip()


def parameters() -> dict[str, str]:
    """Read what the running cluster was started with."""
    lines = (LAB / "run" / "parameters").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines)


def node_address() -> str:
    """Return the node's address on the line to the laptop."""
    return parameters()["NODE_NET"].rpartition(".")[0] + ".2"


@contextmanager
def running(
    command: tuple[str, ...],
    ready: Callable[[str], bool],
    environment: Mapping[str, str] | None = None,
    end: int = 15,
) -> Iterator[Callable[[], str]]:
    """Run a program beside the block; its output so far, by the function yielded, must become `ready` first.

    It gets the signal `end` behind the block, and is killed if it does not go.
    """
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=said, stderr=said, env={**os.environ, **(environment or {})}
        )

        def text() -> str:
            return os.pread(said.fileno(), 1 << 20, 0).decode(errors="replace")

        try:
            wait(lambda: process.poll() is not None or ready(text()), START_S)
            if process.poll() is not None or not ready(text()):
                raise BenchError(f"{' '.join(command)} is not ready: {text()[-800:]}")
            yield text
        finally:
            if process.poll() is None:
                process.send_signal(end)
                try:
                    process.wait(END_S)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()


def wait(done: Callable[[], bool], seconds: float) -> bool:
    """Poll until something is so; False when it is not so in time."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if done():
            return True
        time.sleep(0.05)
    return False


def ends(*words: str, seconds: float) -> dict[str, Any]:
    """Run a client of `ends` on the laptop and read what it says."""
    return dict(json.loads(output(*LAPTOP, "ends", *words, seconds=seconds)))
