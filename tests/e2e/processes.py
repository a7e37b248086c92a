"""Processes of the laptop as this machine numbers them: /proc shows them without entering any namespace."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import BinaryIO


@dataclass(frozen=True)
class Process:
    """One process; what may change is read when it is asked for."""

    pid: int

    @property
    def parent(self) -> int:
        return int(self.status()["PPid"])

    @property
    def program(self) -> str:
        """The name of the file that it executes."""
        return (self._folder / "exe").readlink().name

    @property
    def words(self) -> list[str]:
        return [word.decode() for word in (self._folder / "cmdline").read_bytes().split(b"\0") if word]

    @property
    def alive(self) -> bool:
        """Whether it runs; one that only waits for its parent to ask does not."""
        try:
            return self.status()["State"][0] not in "ZX"
        except OSError:
            return False

    def status(self) -> dict[str, str]:
        """Give /proc/PID/status."""
        lines = (self._folder / "status").read_text().splitlines()
        return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}

    @property
    def environment(self) -> list[str]:
        return (self._folder / "environ").read_bytes().decode(errors="replace").split("\0")

    @property
    def addresses(self) -> list[str]:
        """The IPv4 addresses of its network namespace, and those that there are routes for, alone in their lines."""
        return [line.strip("|- +\n") for line in (self._folder / "net" / "fib_trie").read_text().splitlines()]

    @property
    def links(self) -> set[str]:
        """The network devices of its network namespace."""
        return {line.split(":")[0].strip() for line in (self._folder / "net" / "dev").read_text().splitlines()[2:]}

    def kill(self, number: int) -> None:
        os.kill(self.pid, number)

    def python_files(self) -> set[str]:
        """Give the Python files and libraries in its memory: each code object holds its file's path."""
        found: set[str] = set()
        with (self._folder / "mem").open("rb", buffering=0) as memory:
            for line in (self._folder / "maps").read_text().splitlines():
                span, access, _, _, _, *path = line.split(maxsplit=5)
                found.update(each for each in path if each.endswith(".so"))
                if access.startswith("rw") and path != ["[vvar]"]:
                    found.update(_paths(memory, *(int(end, 16) for end in span.split("-"))))
        return found

    @property
    def _folder(self) -> Path:
        return Path("/proc") / str(self.pid)


_PATH = re.compile(rb"(?:/[\w.+-]+)+\.py(?=\0)")


def _paths(memory: BinaryIO, start: int, end: int) -> set[str]:
    try:
        memory.seek(start)
        content = memory.read(end - start)
    except OSError:
        return set()  # memory of a device
    return {match[0].decode() for match in _PATH.finditer(content)}


def all_processes() -> list[Process]:
    """Give every process of this machine, namespaces or not."""
    return [Process(int(folder.name)) for folder in Path("/proc").glob("[0-9]*")]


def descendants(pid: int) -> list[Process]:
    """Give the processes below one, parents first."""
    children: dict[int, list[Process]] = {}
    for process in all_processes():
        try:
            children.setdefault(process.parent, []).append(process)
        except OSError:
            continue
    found = children.get(pid, [])[:]
    for process in found:
        found += children.get(process.pid, [])
    return found
