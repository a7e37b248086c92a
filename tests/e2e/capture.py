"""What really goes over a device: tcpdump in a network namespace, its bytes as they are in the packets."""

from __future__ import annotations

import re
import signal
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

from .waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Capture:
    """A capture; it may be read while it goes on."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def content(self) -> bytes:
        return self._file.read_bytes()

    def wait_for(self, words: bytes) -> None:
        """Wait until a packet with these bytes was seen."""
        until(lambda: words in self.content(), 10, f"{words!r} in {self._file.name}")


@contextmanager
def capture(namespace: Path, device: str, file: Path, *words: str) -> Iterator[Capture]:
    """Capture all packets of `device` in a network namespace that match a filter of pcap-filter(7)."""
    enter = ["nsenter", f"--net={namespace}", "--"]
    command = [
        *enter,
        "tcpdump",
        "-i",
        device,
        "-U",
        "--immediate-mode",
        "-B",
        "65536",
        "-Z",
        "root",
        "-w",
        "-",
        *words,
    ]
    with file.open("wb") as out, subprocess.Popen(command, stdout=out, stderr=subprocess.PIPE) as tcpdump:
        try:
            assert tcpdump.stderr is not None
            first = tcpdump.stderr.readline()
            while not re.search(rb"listening on", first):
                assert first, "tcpdump ended at once"
                first = tcpdump.stderr.readline()
            yield Capture(file)
        finally:
            tcpdump.send_signal(signal.SIGINT)
            tcpdump.wait(10)
