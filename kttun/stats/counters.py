"""The tunnel's counters: numbers that agree with the kernel's own, and a reason for every packet that was dropped.

tx and rx are counted as the kernel counts on the TUN device (drivers/net/tun.c, `tun_do_read` and `tun_get_user`; shown
by `ip -s link`): one packet read or written is one packet, a super-packet too, and its bytes are those of the IP packet
without the virtio_net_hdr. So tx counts what was read from the TUN, also when it is dropped afterwards, and rx counts
what the kernel has taken. A test compares both; `ip -s link` shows our tx as its TX, our rx as its RX.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class DropReason(StrEnum):
    """Why a packet was dropped. The values are what people and scripts see."""

    QUEUE_FULL = "queue_full"
    """Outbound: the queues held their bound of bytes; the oldest packet of the fattest flow went."""
    SPOOFED_SOURCE = "spoofed_source"
    """The inner source address is not the session's: at the laptop outbound, at the gateway inbound."""
    MALFORMED = "malformed"
    """Not an IP packet, or its headers contradict its length."""
    TUN_WRITE = "tun_write"
    """Inbound: the kernel refused the packet (no buffers, device down)."""
    NO_LANE = "no_lane"
    """Outbound: sealed for a lane that died before all of the record was sent."""


@dataclass(slots=True)
class Counters:
    """Counters of one link since its start. Written by the pump's thread only; reading them elsewhere is safe."""

    tx_packets: int = 0
    tx_bytes: int = 0
    rx_packets: int = 0
    rx_bytes: int = 0
    tx_records: int = 0
    rx_records: int = 0
    credits: int = 0
    """Credit frames received."""
    resumes: int = 0
    """Handshakes after the first that took the session up again."""
    lanes_lost: int = 0
    """Lanes that ended while the session went on, for whatever reason."""
    segmented: int = 0
    """Super-packets that had to be cut here because the kernel refused them whole."""
    _drops: dict[DropReason, int] = field(default_factory=lambda: dict.fromkeys(DropReason, 0))

    def drop(self, reason: DropReason, packets: int = 1) -> None:
        """Count `packets` packets dropped for `reason`."""
        self._drops[reason] += packets

    def snapshot(self) -> Snapshot:
        """Give all counters as they stand now."""
        return Snapshot(
            tx_packets=self.tx_packets,
            tx_bytes=self.tx_bytes,
            rx_packets=self.rx_packets,
            rx_bytes=self.rx_bytes,
            tx_records=self.tx_records,
            rx_records=self.rx_records,
            credits=self.credits,
            resumes=self.resumes,
            lanes_lost=self.lanes_lost,
            segmented=self.segmented,
            drops=MappingProxyType(dict(self._drops)),
        )


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The counters at one moment; see `Counters` for what each means."""

    tx_packets: int
    tx_bytes: int
    rx_packets: int
    rx_bytes: int
    tx_records: int
    rx_records: int
    credits: int
    resumes: int
    lanes_lost: int
    segmented: int
    drops: Mapping[DropReason, int]
    """Packets dropped by reason; every reason is a key."""

    def to_json(self) -> dict[str, int | dict[str, int]]:
        """Give the object `counters` of `kttun status --json`; `drops` maps each reason to its packets."""
        return {
            "tx_packets": self.tx_packets,
            "tx_bytes": self.tx_bytes,
            "rx_packets": self.rx_packets,
            "rx_bytes": self.rx_bytes,
            "drops": {reason.value: count for reason, count in self.drops.items()},
        }
