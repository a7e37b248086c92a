"""The way to this machine's Python and kttun, opened for a container whose root may not pass closed folders.

A home directory is closed to others (Debian makes it with mode 0700), and root without CAP_DAC_OVERRIDE is one of them
(capabilities(7)), as is any other user. The programs of this machine are the sandbox's images, and an image is readable
by everybody. So in the container's own mount namespace each closed folder on the way is covered by an empty one, in
which only what is needed stands. Neither modes nor anything outside the container change.
"""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import kttun
from kttun.sandbox.namespaces import BIND, NOSUID, REC, mount

if TYPE_CHECKING:
    from collections.abc import Iterable


def needed() -> list[Path]:
    """Give the folders of this Python, its environment, and kttun; none lies in another."""
    places = {Path(each).resolve() for each in (sys.base_prefix, sys.prefix, Path(kttun.__file__).parents[1])}
    return sorted(each for each in places if not any(other in each.parents for other in places))


def open_ways(places: Iterable[Path]) -> None:
    """Make the folders reachable for everybody; /proc must be this namespace's. Raises `OSError`."""
    closed: dict[Path, list[tuple[Path, int]]] = {}
    for place in places:
        if (obstacle := _first_closed(place)) is not None:
            closed.setdefault(obstacle, []).append((place, os.open(place, os.O_PATH | os.O_CLOEXEC)))
    for obstacle, behind in closed.items():
        mount("tmpfs", obstacle, "tmpfs", NOSUID, "mode=755")
        for place, descriptor in behind:
            place.mkdir(parents=True)
            mount(f"/proc/self/fd/{descriptor}", place, flags=BIND | REC)
            os.close(descriptor)


def _first_closed(place: Path) -> Path | None:
    """Give the topmost folder on the way to `place` that others may not pass."""
    for folder in reversed(place.parents):
        if not folder.stat().st_mode & stat.S_IXOTH:
            return folder
    return None
