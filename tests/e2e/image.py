"""The gateway's image: built when it is missing or older than the code, and in the node of the running cluster."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from .lab import DIRECTORY, REPO, RUN, cluster

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BUILD = REPO / "scripts" / "build-image"
BASE = DIRECTORY / "images" / "base.tar"
ARCHIVE = DIRECTORY / "images" / "kttun-gateway.tar"
"""`scripts/cluster up` imports what lies there."""
LOADED = RUN / "kttun-gateway.loaded"


def provide() -> None:
    """Build the image if need be, and load it if the node does not have this one."""
    if not ARCHIVE.exists() or _modified(ARCHIVE) < max(map(_modified, _sources())):
        build: list[str | Path] = [BUILD, "--base", BASE, "--output", ARCHIVE]
        done = subprocess.run(build, capture_output=True, text=True, timeout=600, check=False)
        assert done.returncode == 0, f"scripts/build-image: {done.stdout}{done.stderr}"
    if not LOADED.exists() or _modified(LOADED) < _modified(ARCHIVE):
        cluster("load-image", str(ARCHIVE))
        LOADED.touch()


def _sources() -> Iterator[Path]:
    yield from (BUILD, BASE, REPO / "gateway-image" / "Dockerfile", REPO / "pyproject.toml")
    yield from (REPO / "kttun").rglob("*.py")


def _modified(path: Path) -> float:
    return path.stat().st_mtime
