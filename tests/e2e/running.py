"""A `kttun up` under way in the laptop: what it prints, its two processes, and all the ways in which it can end."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import threading
from typing import TYPE_CHECKING

from .processes import descendants

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .processes import Process

STARTED = "connected to"
UP_S = 90
END_S = 30
CTRL_C = b"\x03"


class Text:
    """What a process writes, read in a thread as it comes; `fd` belongs to it from now on."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._woken, wake = os.pipe()
        self._wake: int | None = wake
        self._text = ""
        self._changed = threading.Condition()
        self._ended = False
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def __str__(self) -> str:
        with self._changed:
            return self._text

    def wait_for(self, text: str, seconds: float) -> bool:
        """Wait until `text` was written; False when the writer ended before, or never wrote it in this time."""
        with self._changed:
            self._changed.wait_for(lambda: text in self._text or self._ended, seconds)
            return text in self._text

    def join(self) -> None:
        """Wait until the writer has closed its end."""
        self._thread.join(END_S)

    def close(self) -> None:
        """Read no more and close our end; done already is fine."""
        if self._wake is not None:
            os.close(self._wake)
            self._wake = None
            self._thread.join()
            os.close(self._woken)
            os.close(self._fd)

    def _read(self) -> None:
        data = b"begun"
        while data:
            # Waits for both, since closing a descriptor does not end a read of it that another thread is in.
            ready, _, _ = select.select([self._fd, self._woken], [], [])
            try:
                data = b"" if self._woken in ready else os.read(self._fd, 1 << 16)
            except OSError:
                data = b""  # EIO: nobody holds the other side of a terminal any more
            with self._changed:
                self._text += data.decode(errors="replace")
                self._ended = not data
                self._changed.notify_all()


class Up:
    """`kttun up` as a person started it: `command` enters the laptop. With a terminal, as from a shell.

    On a terminal `stderr` holds stdout too.
    """

    def __init__(self, command: Sequence[str | os.PathLike[str]], *, terminal: bool = False) -> None:
        self._terminal: int | None = None
        if terminal:
            self._start_on_terminal(command)
        else:
            self._start_on_pipes(command)
        self._seen: list[Process] = []

    def _start_on_pipes(self, command: Sequence[str | os.PathLike[str]]) -> None:
        (out, to_out), (err, to_err) = os.pipe(), os.pipe()
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=to_out, stderr=to_err)
        os.close(to_out)
        os.close(to_err)
        self.stdout, self.stderr = Text(out), Text(err)

    def _start_on_terminal(self, command: Sequence[str | os.PathLike[str]]) -> None:
        self._terminal, theirs = os.openpty()
        command = ["setsid", "--ctty", "--wait", *command]
        self._process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs)
        os.close(theirs)
        self.stdout = self.stderr = Text(self._terminal)

    def wait_for(self, text: str, seconds: float = UP_S) -> None:
        """Wait until it has said so on stderr; fail with all that it said when it ends instead."""
        assert self.stderr.wait_for(text, seconds), f"never said '{text}':\n{self.stderr}"

    def wait(self, seconds: float = END_S) -> int:
        """Wait for its end; give the exit code as a shell would."""
        try:
            code = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"did not end within {seconds:g} s:\n{self.stderr}") from None
        self.stdout.join()
        self.stderr.join()
        return code if code >= 0 else 128 - code

    @property
    def helper(self) -> Process:
        return self._pair()[0]

    @property
    def worker(self) -> Process:
        return self._pair()[1]

    def ctrl_c(self) -> None:
        """Press it: the terminal interrupts whatever is in its foreground."""
        assert self._terminal is not None, "no terminal to type on"
        os.write(self._terminal, CTRL_C)

    def hang_up(self) -> None:
        """Close the terminal, as a window that is closed does, or a login that breaks."""
        assert self._terminal is not None, "no terminal to hang up"
        self.stderr.close()

    def terminate(self) -> None:
        """Send SIGTERM to what the person started, as `kill` does."""
        self._process.terminate()

    def close(self) -> None:
        """End it, whatever state it is in."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self.wait()
            except AssertionError:
                self._process.kill()
                self._process.wait()
        self.stdout.close()
        self.stderr.close()

    def _pair(self) -> list[Process]:
        """Find helper and worker: below sudo, or whoever starts us, the first Python is kttun, and its child too."""
        if not self._seen:
            pythons = [each for each in descendants(self._process.pid) if each.program.startswith("python")]
            helpers = [each for each in pythons if any(word.endswith("/bin/kttun") for word in each.words)]
            workers = [each for each in pythons if helpers and each.parent == helpers[0].pid]
            assert helpers, f"no process of kttun:\n{self.stderr}"
            assert workers, f"no worker:\n{self.stderr}"
            self._seen = [helpers[0], workers[0]]
        return self._seen
