"""Keeps the allocator from giving memory back to the kernel between two turns.

Packets and records are blocks of 64 KiB, many at a time, freed together at the end of a turn. glibc returns the top of
its heap beyond 128 KiB to the kernel at once, and maps blocks of that size one by one (mallopt(3): M_TRIM_THRESHOLD,
M_MMAP_THRESHOLD); the next turn then faults every page in again. Measured: up to 230 faults a megabyte, which doubled
the CPU time of an end, depending on what else happened to lie on the heap.
"""

from __future__ import annotations

import ctypes

_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
KEPT = 64 * 1024 * 1024
"""Bytes of free heap that the process may keep: the queues' bound several times, and little on either machine."""
LARGEST_ON_HEAP = 1024 * 1024
"""Larger blocks are mapped by themselves, as those that live as long as the process are."""


def keep_memory() -> bool:
    """Tell glibc to keep what it has, for the whole process; false where the C library has no such knob."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(_M_TRIM_THRESHOLD, KEPT) and mallopt(_M_MMAP_THRESHOLD, LARGEST_ON_HEAP))
