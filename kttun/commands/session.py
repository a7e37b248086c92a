"""A session under way: the link in its thread, lanes dialled again when they die, and what `status` tells of it.

The pump's thread reports by a queue; the main thread waits on it, since signals arrive there.
"""

from __future__ import annotations

import math
import queue
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from kttun.commands.lanes import Hopeless
from kttun.errors import TunnelError
from kttun.link.dialer import Dialer
from kttun.link.events import Closed, LaneLost, TunLost
from kttun.protocol.errors import VersionMismatchError
from kttun.protocol.events import Opened, PeerClosed
from kttun.rendezvous import GatewayReport

if TYPE_CHECKING:
    from collections.abc import Callable

    from kttun.commands.lanes import LaneOpener
    from kttun.link.events import LinkEvent
    from kttun.link.pump import Link

CLOSE_S = 3.0
SLICE_S = 0.25
OPEN_S = 30.0
"""Longest wait for the gateway's first answer, seconds; it is ready when we dial."""


class Session:
    """Keeps a lane under `link`, which is set before `open` and was made with this session's `on_event`.

    `linger_s` is how long the gateway waits for us. `on_change` is told in words when the lane goes and comes.
    """

    link: Link

    def __init__(self, opener: LaneOpener, linger_s: float, on_change: Callable[[str], None]) -> None:
        self._opener = opener
        self._linger_s = linger_s
        self._on_change = on_change
        self._outcome: queue.SimpleQueue[GatewayReport | int | BaseException] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="kttun-link", daemon=True)
        self._gone_at: float | None = None
        self._opened = self._closing = False
        self._last_error = "no answer"

    def open(self) -> GatewayReport:
        """Start; give what the gateway says of itself. Raises `KttunError` when it cannot be reached."""
        self._dialer = Dialer(
            self._opener,
            call_soon=self.link.loop.call_soon,
            on_carrier=self.link.attach,
            on_error=self._hopeless,
            on_retry=self._again,
        )
        self._thread.start()
        self.link.loop.call_soon(self._dialer.start)
        try:
            outcome = self._await_outcome(time.monotonic() + OPEN_S)
        except queue.Empty:
            raise TunnelError(
                f"the gateway did not answer within {OPEN_S:g} s: {self._last_error}",
                "a proxy before the API server may swallow upgrades: try --carrier websocket",
            ) from None
        if isinstance(outcome, GatewayReport):
            return outcome
        raise outcome if isinstance(outcome, BaseException) else TunnelError("the session ended before it was open")

    def wait(self) -> int:
        """Block until the session is over; give the code of `finish`. Raises `TunnelError` or what ended it."""
        outcome = self._await_outcome(math.inf)
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome if isinstance(outcome, int) else 0

    def _await_outcome(self, until: float) -> GatewayReport | int | BaseException:
        """Wait in slices: a signal that comes just before the wait begins would not be seen until it ends."""
        while True:
            try:
                return self._outcome.get(timeout=SLICE_S)
            except queue.Empty:
                if time.monotonic() >= until:
                    raise

    def finish(self, code: int) -> None:
        """Let `wait` give `code`; from any thread."""
        self._outcome.put(code)

    def fail(self, error: BaseException) -> None:
        """Let `open` or `wait` raise `error`; from any thread."""
        self._outcome.put(error)

    def close(self, reason: str) -> None:
        """Tell the gateway, wait for its farewell a moment, and stop the thread."""
        if not self._thread.is_alive():
            return
        self.link.loop.call_soon(lambda: self._close(reason))
        self._thread.join(CLOSE_S)
        self.link.stop()
        self._thread.join(CLOSE_S)

    def status(self) -> dict[str, Any]:
        """Give the link's part of `kttun status --json`."""
        now, link = time.monotonic(), self.link.status()
        since = datetime.now(UTC) - timedelta(seconds=now - link.since)
        counters = self.link.counters.snapshot()
        rtt = None if link.rtt_s is None else round(link.rtt_s * 1000, 3)
        lane = {
            "index": 0,
            "state": str(link.state),
            "carrier": link.carrier,
            "rtt_ms": rtt,
            "in_flight": link.in_flight,
        }
        return {
            "state": str(link.state),
            "since": since.isoformat(timespec="seconds"),
            "lanes": [lane | {"limit": link.limit, "queued": link.queued}],
            "rtt_ms": rtt,
            "last_echo_s": round(now - link.last_heard, 3),
            "resumes": counters.resumes,
            "counters": counters.to_json(),
        }

    # In the pump's thread

    def on_event(self, event: LinkEvent) -> None:
        """Take an event of the link; called by the pump."""
        match event:
            case Opened(report=report):
                self._dialer.settled()
                self._opener.proved()
                self._is_open(report)
            case LaneLost(error=VersionMismatchError() as error):
                self.fail(TunnelError(str(error), "use the gateway image of this kttun's version"))
            case LaneLost(error=error):
                self._last_error = str(error)
                self._lost(error)
            case PeerClosed(reason=reason) if not self._closing:
                self.fail(TunnelError(f"the gateway ended the session: {reason}", "kttun up makes a new one"))
            case TunLost(reason=reason):
                self.fail(TunnelError(f"the network device is gone: {reason}"))
            case Closed():
                self.link.stop()

    def _run(self) -> None:
        try:
            self.link.run()
        except BaseException as error:  # noqa: BLE001 - the main thread must hear of it, whatever it is
            self.fail(error)

    def _is_open(self, report: bytes) -> None:
        if self._gone_at is not None:
            self._on_change(f"tunnel is back after {time.monotonic() - self._gone_at:.1f} s")
        self._gone_at = None
        if self._opened:
            return
        self._opened = True
        try:
            self._outcome.put(GatewayReport.from_json(report))
        except ValueError as error:
            self.fail(TunnelError(f"the gateway's report cannot be read: {error}"))

    def _lost(self, error: Exception) -> None:
        if self._closing:
            return
        if self._opened and self._gone_at is None:
            self._gone_at = time.monotonic()
            self._on_change(f"tunnel lost: {error}; coming back")
        self._opener.failed()
        self._check_age(error)
        self._dialer.start()

    def _again(self, error: Exception, _pause: float) -> None:
        self._last_error = str(error)
        self._check_age(error)

    def _check_age(self, error: Exception) -> None:
        """Give up when the gateway must have ended by now; a lane that comes and goes again proves nothing else."""
        if self._gone_at is not None and time.monotonic() - self._gone_at > self._linger_s:
            self._dialer.stop()
            self.fail(TunnelError(f"the tunnel was lost and did not come back in {self._linger_s:g} s: {error}"))

    def _hopeless(self, error: Exception) -> None:
        if not isinstance(error, Hopeless):
            self.fail(error)
        elif self._opened:
            self.fail(TunnelError(f"the tunnel was lost for good: {error.error.message}", *error.error.hints))
        else:
            self.fail(error.error)

    def _close(self, reason: str) -> None:
        self._closing = True
        self._dialer.stop()
        self.link.close(reason)
