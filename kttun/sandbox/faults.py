"""Parts of the cluster that are made to fail, for tests: switches, and who waits for them.

What a client meets was measured on a real cluster (Kubernetes 1.34, containerd 1.6): see each switch.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import TYPE_CHECKING

from kttun.sandbox.status import StatusError

if TYPE_CHECKING:
    from collections.abc import Callable

STARTING_S = 1.0
"""How long a kubelet that has come back does not know its pods yet."""


class EmptyAnswerError(Exception):
    """An answer with nothing but its HTTP status: it comes from the node, not from the API server."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class Faults:
    """The switches. Everything works until one is turned; all may be turned at any time, twice too.

    `kubelet_address` is what a refusal names, as IP:PORT.
    """

    def __init__(self, kubelet_address: str) -> None:
        self._kubelet_address = kubelet_address
        self._answering = asyncio.Event()
        self._answering.set()
        self._cuts: set[Callable[[], None]] = set()
        self._kubelet_away = self._runtime_away = False
        self._knows_pods_at = 0.0

    def freeze(self) -> None:
        """Let the API server fall silent: connections stay, nothing is answered or passed on (SIGSTOP)."""
        self._answering.clear()

    def thaw(self) -> None:
        """Let it go on where it was (SIGCONT)."""
        self._answering.set()

    async def awake(self) -> None:
        """Wait while the API server is silent: whoever is about to do something on its behalf asks first."""
        await self._answering.wait()

    def take_kubelet(self) -> None:
        """Take the kubelet away: port-forwards are cut, new ones answered with 500 and a Status (SIGKILL)."""
        self._kubelet_away = True
        self.cut()

    def give_kubelet(self) -> None:
        """Bring it back; for a second more it knows no pods and answers 404 with an empty body."""
        if self._kubelet_away:
            self._kubelet_away = False
            self._knows_pods_at = asyncio.get_running_loop().time() + STARTING_S

    def take_runtime(self) -> None:
        """Take the container runtime away: port-forwards are cut, new ones answered with 500 and an empty body."""
        self._runtime_away = True
        self.cut()

    def give_runtime(self) -> None:
        """Bring it back; pods have gone on."""
        self._runtime_away = False

    def cut(self) -> None:
        """End all port-forwards at once, without a word."""
        for cut in tuple(self._cuts):
            cut()

    def check_node(self) -> None:
        """Raise what the API would answer to a call that goes on to the node now: `StatusError`, `EmptyAnswerError`."""
        if self._kubelet_away:
            why = f"error dialing backend: dial tcp {self._kubelet_address}: connect: connection refused"
            raise StatusError(HTTPStatus.INTERNAL_SERVER_ERROR, "", why)
        if asyncio.get_running_loop().time() < self._knows_pods_at:
            raise EmptyAnswerError(HTTPStatus.NOT_FOUND)
        if self._runtime_away:
            raise EmptyAnswerError(HTTPStatus.INTERNAL_SERVER_ERROR)

    def watch_for_cut(self, cut: Callable[[], None]) -> Callable[[], None]:
        """Have `cut` called when port-forwards are cut; give what takes that back."""
        self._cuts.add(cut)
        return lambda: self._cuts.discard(cut)
