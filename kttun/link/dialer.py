"""Brings a lost lane back: dials in a thread of its own, with growing pauses, and hands the carrier over.

A dial may hang for long and still succeed: after a black hole the TLS handshake that hung goes through the moment the
API server answers again. So an attempt is left alone until it ends by itself, never cancelled in favour of a fresh one.
While things restart, attempts fail at once (404 and 500 with an empty body); the pause before the next grows from
50 ms, since most cuts are short, to 5 s, each drawn at random so that many laptops do not come back in step. A carrier
that connects proves little (a 101 comes before the pod is dialled), so pauses grow until the owner says `settled`.
"""

from __future__ import annotations

import random
import threading
from functools import partial
from typing import TYPE_CHECKING

from kttun.errors import EnvironmentFaultError
from kttun.link.carrier import LaneLostError

if TYPE_CHECKING:
    from collections.abc import Callable

    from kttun.link.carrier import Carrier

FIRST_PAUSE_S = 0.05
LONGEST_PAUSE_S = 5.0


class Dialer:
    """Dials one lane when asked to, one attempt at a time.

    `dial()` runs in a thread of the dialer, may block, and gives a connected carrier. `LaneLostError`,
    `EnvironmentFaultError` and OSError from it are tried again; anything else ends the dialling and goes to `on_error`.
    `call_soon` runs a function in the owner's thread (`Loop.call_soon`); `on_carrier(carrier)`, `on_error(error)` and
    `on_retry(error, longest_pause_s)` are only called there, and not after `stop`.
    """

    def __init__(
        self,
        dial: Callable[[], Carrier],
        *,
        call_soon: Callable[[Callable[[], None]], None],
        on_carrier: Callable[[Carrier], None],
        on_error: Callable[[Exception], None],
        on_retry: Callable[[Exception, float], None] | None = None,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._dial = dial
        self._call_soon = call_soon
        self._on_carrier = on_carrier
        self._on_error = on_error
        self._on_retry = on_retry
        self._uniform = uniform
        self._stopped = threading.Event()
        self._hurry = threading.Event()
        self._thread: threading.Thread | None = None
        self._pause = 0.0

    @property
    def dialling(self) -> bool:
        """Whether an attempt or a pause between two is under way."""
        return self._thread is not None

    def start(self) -> None:
        """Begin to dial; nothing happens while dialling or after `stop`. From the owner's thread.

        At once, if the last carrier was `settled`, else after the pause that its failure earned.
        """
        if self._thread is None and not self._stopped.is_set():
            self._hurry.clear()
            self._thread = threading.Thread(target=self._run, name="kttun-dial", daemon=True)
            self._thread.start()

    def settled(self) -> None:
        """Forget earlier failures: the far end has answered on this lane. From the owner's thread."""
        if self._thread is None:
            self._pause = 0.0

    def hurry(self) -> None:
        """End a pause now: the network has just changed. An attempt that is under way goes on. From any thread."""
        self._hurry.set()

    def stop(self) -> None:
        """Make no new attempt; a carrier that an attempt under way still brings is closed. From the owner's thread."""
        self._stopped.set()
        self._hurry.set()

    def _run(self) -> None:
        while True:
            self._hurry.wait(self._uniform(self._pause / 2, self._pause))
            self._hurry.clear()
            if self._stopped.is_set():
                return
            self._pause = min(LONGEST_PAUSE_S, max(FIRST_PAUSE_S, self._pause * 2))
            try:
                carrier = self._dial()
            except (LaneLostError, EnvironmentFaultError, OSError) as error:
                self._call_soon(partial(self._retrying, error, self._pause))
            except Exception as error:  # noqa: BLE001 - a thread's error must reach the owner, whatever it is
                self._call_soon(partial(self._failed, error))
                return
            else:
                self._call_soon(partial(self._arrived, carrier))
                return

    def _arrived(self, carrier: Carrier) -> None:
        self._thread = None
        if self._stopped.is_set():
            carrier.close()
        else:
            self._on_carrier(carrier)

    def _failed(self, error: Exception) -> None:
        self._thread = None
        if not self._stopped.is_set():
            self._on_error(error)

    def _retrying(self, error: Exception, pause: float) -> None:
        if self._on_retry is not None and not self._stopped.is_set():
            self._on_retry(error, pause)
