"""Where a value came from, as `kttun config show` tells it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path


class Source(StrEnum):
    """From light to heavy."""

    DEFAULT = "default"
    USER = "user file"
    PROJECT = "project file"
    ENVIRONMENT = "environment"
    FLAG = "command line"


@dataclass(frozen=True, slots=True)
class Origin:
    """One place: a file and a line of it, a variable, or just the kind of source."""

    source: Source
    file: Path | None = None
    line: int | None = None
    variable: str | None = None

    def __str__(self) -> str:
        """Name the place as a compiler would: FILE:LINE, VARIABLE, or what kind of source it is."""
        if self.file is not None:
            return f"{self.file}:{self.line}" if self.line else str(self.file)
        return self.variable or str(self.source)

    def to_json(self) -> dict[str, Any]:
        """Give what is known of the place."""
        known = {"file": self.file and str(self.file), "line": self.line, "variable": self.variable}
        return {"source": str(self.source), **{name: value for name, value in known.items() if value is not None}}
