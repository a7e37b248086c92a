"""Images of the practice cluster: names for programs of this machine. Nothing is ever pulled."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import kttun
from kttun import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping

EXAMPLE = "kttun-example"
"""Images `kttun-example/NAME` run the program NAME of `examples`."""


class NoSuchImageError(Exception):
    """The image cannot be had; the text goes into the pod's status, where a runtime's error stands."""


class Images:
    """What the node has; `extra` are image names and the words that each stands for."""

    def __init__(self, extra: Mapping[str, tuple[str, ...]]) -> None:
        gateway = (sys.executable, "-m", "kttun.gateway")
        self._commands = {f"kttun-gateway:{__version__}": gateway, **extra}

    def entry(self, image: str) -> tuple[str, ...]:
        """Give what an image runs when the container names no command. Raises `NoSuchImageError`."""
        if image in self._commands:
            return self._commands[image]
        repository, _, name = image.partition(":")[0].rpartition("/")
        if repository == EXAMPLE:
            return ("example", name)
        known = ", ".join(sorted(self._commands))
        raise NoSuchImageError(f'failed to pull image "{image}": the sandbox pulls nothing and has only {known}')


def environment() -> dict[str, str]:
    """Give the environment that every image has: this machine's programs, and kttun among them."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": "/root",
        "PYTHONPATH": str(Path(kttun.__file__).parents[1]),
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
