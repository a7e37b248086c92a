"""The TUN's side of the pump: from the kernel into the queues, from the stream to the kernel.

A packet is checked where it enters the tunnel's own ground: at the laptop outbound, at the gateway inbound, its source
must be an inner address of the session, which is bound to the session's key. Nothing here blocks or raises for a bad
packet; each that is dropped is counted with its reason.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from kttun.packet.flow import TCP, flow_key, is_bare_ack, key_source, source
from kttun.packet.vnet import GSO_NONE, HEADER_SIZE, segment
from kttun.stats.counters import DropReason

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kttun.link.queues import FlowQueues
    from kttun.stats.counters import Counters

READ_BUDGET = 256 * 1024
"""Bytes taken from the TUN in one turn, so that the lane gets its turn as well."""
_PER_PACKET = 512
"""What a packet costs besides its bytes, as bytes: a turn is to be as short for small packets as for large ones."""
_LARGEST = HEADER_SIZE + 65_535 + 40
"""An IPv6 super-packet: 40 bytes of header and as much payload as its length field says (RFC 8200 section 3)."""


class TunLostError(Exception):
    """The TUN device is gone; the text is the system's reason."""


class Tun:
    """One end's TUN, opened with IFF_NO_PI and IFF_VNET_HDR, non-blocking; the descriptor stays its opener's.

    `inner_addresses` are the packed addresses (4 or 16 bytes) bound to the session. `at_gateway` says where the source
    is checked: inbound at the gateway, outbound at the laptop.
    """

    def __init__(self, fd: int, *, inner_addresses: Iterable[bytes], at_gateway: bool, counters: Counters) -> None:
        os.set_blocking(fd, False)
        self.fd = fd
        self._inner = frozenset(inner_addresses)
        self._at_gateway = at_gateway
        self._counters = counters
        self._refused_kinds: set[int] = set()
        """GSO kinds that this kernel does not take whole."""

    def read(self, queues: FlowQueues) -> None:
        """Move what the kernel has, up to `READ_BUDGET`, into the queues; raises `TunLostError`."""
        counters, fd, budget = self._counters, self.fd, READ_BUDGET
        try:
            while budget > 0:
                packet = os.read(fd, _LARGEST)
                if not packet:
                    raise TunLostError("end of file")
                counters.tx_packets += 1
                counters.tx_bytes += len(packet) - HEADER_SIZE
                budget -= len(packet) + _PER_PACKET
                self._queue(packet, queues)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            raise TunLostError(os.strerror(error.errno or 0)) from error

    def _queue(self, packet: bytes, queues: FlowQueues) -> None:
        key = flow_key(packet)
        if not key:
            self._counters.drop(DropReason.MALFORMED)
        elif not self._at_gateway and key_source(key) not in self._inner:
            self._counters.drop(DropReason.SPOOFED_SOURCE)
        elif dropped := queues.put(key, packet, is_tcp=key[0] == TCP, patient=is_bare_ack(packet)):
            self._counters.drop(DropReason.QUEUE_FULL, dropped)

    def write(self, packets: Iterable[memoryview]) -> None:
        """Give `packets` to the kernel in their order; it has taken or refused all of them when this returns."""
        counters, fd = self._counters, self.fd
        for packet in packets:
            if self._at_gateway and source(packet) not in self._inner:
                self._counters.drop(DropReason.SPOOFED_SOURCE if source(packet) else DropReason.MALFORMED)
                continue
            if self._refused_kinds and packet[1] in self._refused_kinds:
                self._write_segments(packet)
                continue
            try:
                counters.rx_bytes += os.write(fd, packet) - HEADER_SIZE
                counters.rx_packets += 1
            except OSError as error:
                self._refused(packet, error)

    def _refused(self, packet: memoryview, error: OSError) -> None:
        """Cut a super-packet of a kind that this kernel, or its GRO, does not know (EINVAL); count all else."""
        if error.errno == errno.EINVAL and len(packet) > HEADER_SIZE and packet[1] != GSO_NONE:
            if self._write_segments(packet):
                self._refused_kinds.add(packet[1])
        else:
            self._counters.drop(DropReason.MALFORMED if error.errno == errno.EINVAL else DropReason.TUN_WRITE)

    def _write_segments(self, packet: memoryview) -> bool:
        """Cut the packet here and write the parts; whether the kernel took them, so that it was the size it refused."""
        parts = segment(packet)
        if not parts:
            self._counters.drop(DropReason.MALFORMED)
            return False
        self._counters.segmented += 1
        taken = 0
        for part in parts:
            try:
                self._counters.rx_bytes += os.write(self.fd, part) - HEADER_SIZE
                taken += 1
            except OSError:
                self._counters.drop(DropReason.TUN_WRITE)
        self._counters.rx_packets += taken
        return taken == len(parts)
