"""Everything that was written down, each value with its place, from light to heavy."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from kttun.settings.environment import read_environment
from kttun.settings.files import project_file, read_file, user_file
from kttun.settings.key import Kind
from kttun.settings.origin import Origin, Source

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from kttun.settings.key import Key


@dataclass(frozen=True, slots=True)
class Settings:
    """What the sources say."""

    values: Mapping[str, Any] = field(default_factory=dict)
    """By key; for lists all that any source says."""
    origins: Mapping[str, tuple[Origin, ...]] = field(default_factory=dict)
    """By key; more than one place only for lists, which add up."""


def read_settings(keys: Sequence[Key], environ: Mapping[str, str], folder: Path | None) -> Settings:
    """Read user file, project file (from `folder` upwards; without one, none) and environment.

    Raises `EnvironmentFaultError` for a file that cannot be read and `UsageError` for anything wrong in one.
    """
    found = [entry for source, path in locate(environ, folder) for entry in read_file(path, source, keys)]
    return _added_up([*found, *read_environment(environ, keys)])


def locate(environ: Mapping[str, str], folder: Path | None) -> tuple[tuple[Source, Path], ...]:
    """Give the files that count, light to heavy; the user's also when it does not exist."""
    project = project_file(folder) if folder else None
    return ((Source.USER, user_file(environ)), *([(Source.PROJECT, project)] if project else []))


def _added_up(found: Iterable[tuple[Key, Any, Origin]]) -> Settings:
    values: dict[str, Any] = {}
    origins: dict[str, tuple[Origin, ...]] = {}
    for key, value, origin in found:
        adds = key.kind is Kind.LIST
        values[key.name] = [*values.get(key.name, ()), *value] if adds else value
        origins[key.name] = (*(origins.get(key.name, ()) if adds else ()), origin)
    return Settings(values, origins)
