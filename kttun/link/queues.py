"""Outbound packets wait here, by flow: deficit round robin with new flows first, bounded in bytes.

A TUN never pushes back; it drops when its ring is full, below any queueing discipline. So the pump reads it always and
the queue that forms, forms here, where it can be fair. As in fq_codel (RFC 8290 section 4.2) a flow that had nothing
waiting goes before those that keep a queue, so that a key press or a DNS question passes a download. What leaves the
queue goes into the stream and is out of reach; it is the in-flight limit (`limiter`) that makes packets wait here
and not there. Through a cut of the lane the queues just fill to their bound: the retransmits that already wait here
when the lane is back are why programs go on at once.

Costs: `put` and each packet of `take` are O(1); only a drop looks at all flows.
"""

from __future__ import annotations

from collections import deque

QUANTUM = 8 * 1024
"""Bytes a TCP flow may send in its turn."""
OTHER_QUANTUM = 4 * QUANTUM
"""The same for flows that are not TCP: 5 Mbit/s of UDP beside four downloads on 20 Mbit/s loses a third without."""
BOUND = 4 * 1024 * 1024
"""Bytes in all flows together. 1 MiB dropped whole super-packets at 200 Mbit/s and 80 ms."""


class _Flow:
    """One flow's waiting packets, and how far its turn has been used."""

    __slots__ = ("credit", "key", "packets", "quantum", "size")

    def __init__(self, key: bytes, quantum: int) -> None:
        self.key = key
        self.quantum = quantum
        self.credit = quantum
        self.packets: deque[bytes] = deque()
        self.size = 0


class FlowQueues:
    """The queues of one direction. `bound` is the most bytes of packets (with their virtio_net_hdr) that wait."""

    def __init__(self, bound: int = BOUND) -> None:
        self.bound = bound
        self.size = 0
        """Bytes waiting."""
        self.prompt = False
        """Whether something may wait here that is not `patient`; false at least whenever nothing waits."""
        self._flows: dict[bytes, _Flow] = {}
        self._new: deque[_Flow] = deque()
        self._old: deque[_Flow] = deque()

    @property
    def flows(self) -> int:
        """How many flows have a queue."""
        return len(self._flows)

    def put(self, key: bytes, packet: bytes, *, is_tcp: bool, patient: bool = False) -> int:
        """Let `packet` wait behind the others of its flow; give how many packets had to be dropped for it.

        `patient`: nobody notices if it waits a moment for company (a bare acknowledgement).

        While more than `bound` bytes wait, packets go from the head of the flow that holds most: the oldest ones, so
        that its sender learns of it soonest. A packet larger than the bound drops itself as well.
        """
        flow = self._flows.get(key)
        if flow is None:
            flow = self._flows[key] = _Flow(key, QUANTUM if is_tcp else OTHER_QUANTUM)
            self._new.append(flow)
        if not patient:
            self.prompt = True
        flow.packets.append(packet)
        flow.size += len(packet)
        self.size += len(packet)
        return self._shrink() if self.size > self.bound else 0

    def take(self, budget: int) -> list[bytes]:
        """Take the packets whose turn it is, `budget` bytes of them at most, but at least one if any waits.

        The order inside a flow is the order of `put`. A packet that does not fit stays first in turn.
        """
        taken: list[bytes] = []
        room = budget
        while self._new or self._old:
            turn = self._new or self._old
            flow = turn[0]
            if not flow.packets:
                self._retire(turn)
                continue
            if flow.credit <= 0:
                flow.credit += flow.quantum
                turn.popleft()
                self._old.append(flow)
                continue
            size = len(flow.packets[0])
            if size > room and taken:
                break
            taken.append(flow.packets.popleft())
            flow.credit -= size
            flow.size -= size
            self.size -= size
            room -= size
            if room <= 0:
                break
        if not self.size:
            self.prompt = False
        return taken

    def _retire(self, turn: deque[_Flow]) -> None:
        """Let an empty flow go; a new one first waits among the old once, else it could be new again at once."""
        flow = turn.popleft()
        if turn is self._new and self._old:
            self._old.append(flow)
        else:
            del self._flows[flow.key]

    def _shrink(self) -> int:
        dropped = 0
        while self.size > self.bound:
            fattest = max(self._flows.values(), key=_size)
            size = len(fattest.packets.popleft())
            fattest.size -= size
            self.size -= size
            dropped += 1
        return dropped


def _size(flow: _Flow) -> int:
    return flow.size
