"""Parts of the cluster that are made to fail, for tests: switches, and who waits for them.

What a client meets was measured on a real cluster (Kubernetes 1.34, containerd 1.6): see each switch.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from kttun.sandbox.status import StatusError

if TYPE_CHECKING:
    from collections.abc import Callable

BACK_S = 0.2
"""How long after its end a killed part comes back."""
STARTING_S = 1.0
"""How long a kubelet that has come back does not know its pods yet."""


class EmptyAnswerError(Exception):
    """An answer with nothing but its HTTP status: it comes from the node, not from the API server."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class Faults:
    """The switches; everything works until one is turned. `kubelet_address` is what a refusal names, as IP:PORT."""

    def __init__(self, kubelet_address: str) -> None:
        self._kubelet_address = kubelet_address
        self._answering = asyncio.Event()
        self._answering.set()
        self._cuts: set[Callable[[], None]] = set()
        self._kubelet_back = self._runtime_back = 0.0

    def freeze(self) -> None:
        """Let the API server fall silent: connections stay, nothing is answered or passed on (SIGSTOP)."""
        self._answering.clear()

    def thaw(self) -> None:
        """Let it go on where it was (SIGCONT)."""
        self._answering.set()

    async def awake(self) -> None:
        """Wait while the API server is silent: whoever is about to do something on its behalf asks first."""
        await self._answering.wait()

    def kill_kubelet(self) -> None:
        """Cut port-forwards; new ones get a Status, and once it is back but knows no pods yet an empty 404."""
        self._kubelet_back = asyncio.get_running_loop().time() + BACK_S
        self.cut()

    def kill_runtime(self) -> None:
        """Cut port-forwards; new ones are answered with 500 and an empty body; pods go on."""
        self._runtime_back = asyncio.get_running_loop().time() + BACK_S
        self.cut()

    def cut(self) -> None:
        """End all port-forwards at once, without a word."""
        for cut in tuple(self._cuts):
            cut()

    def check_node(self) -> None:
        """Raise what the API would answer to a call that goes on to the node now: `StatusError`, `EmptyAnswerError`."""
        now = asyncio.get_running_loop().time()
        if now < self._kubelet_back:
            why = f"error dialing backend: dial tcp {self._kubelet_address}: connect: connection refused"
            raise StatusError(500, "", why)
        if self._kubelet_back and now < self._kubelet_back + STARTING_S:
            raise EmptyAnswerError(404)
        if now < self._runtime_back:
            raise EmptyAnswerError(500)

    def watch_for_cut(self, cut: Callable[[], None]) -> Callable[[], None]:
        """Have `cut` called when port-forwards are cut; give what takes that back."""
        self._cuts.add(cut)
        return lambda: self._cuts.discard(cut)
