"""A key of the configuration: what it is called, which values it takes, and who may set it."""

from __future__ import annotations

from argparse import ArgumentTypeError
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})


class Kind(Enum):
    """What may stand behind the key in a TOML file; the text is how an error names it."""

    TEXT = "a string"
    NUMBER = "a string or a number"
    SWITCH = "true or false"
    LIST = "a string or an array of strings"


@dataclass(frozen=True, slots=True)
class Key:
    """One key. `read` takes one text and gives the value, for a list the list of values that the text holds."""

    name: str
    kind: Kind
    read: Callable[[str], Any]
    is_path: bool = False
    in_project: bool = False
    """May stand in a project file, which somebody else may have written."""

    @property
    def dest(self) -> str:
        """The name of the value among parsed options."""
        return self.name.replace("-", "_")

    @property
    def variable(self) -> str:
        """The environment variable that sets it."""
        return f"KTTUN_{self.dest.upper()}"

    def from_toml(self, value: object) -> Any:
        """Give what a value of a TOML file means.

        Raises TypeError for a wrong type and `ArgumentTypeError` for a bad value, both with a text for people.
        """
        match self.kind, value:
            case Kind.SWITCH, bool():
                return value
            case Kind.LIST, list() if all(isinstance(each, str) for each in value):
                return [part for each in value for part in self._read(each)]
            case Kind.NUMBER, int() | float() if not isinstance(value, bool):
                return self._read(str(value))
            case ((Kind.TEXT | Kind.NUMBER | Kind.LIST), str()):
                return self._read(value)
        raise TypeError(f"{self.name} takes {self.kind.value}, not {_toml_type(value)}")

    def from_text(self, text: str) -> Any:
        """Give what the text of an environment variable means; raises `ArgumentTypeError`."""
        if self.kind is not Kind.SWITCH:
            return self._read(text)
        if text.lower() not in _TRUE | _FALSE:
            raise ArgumentTypeError(f"'{text}' is neither true nor false")
        return text.lower() in _TRUE

    def _read(self, text: str) -> Any:
        """Read a text, but none that would play tricks on the terminal that later shows it."""
        if not text.isprintable():
            raise ArgumentTypeError("a value may hold no control characters")
        return self.read(text)


def _toml_type(value: object) -> str:
    """Name a type as TOML does (toml.io, v1.0.0); bool comes before int, which it is in Python."""
    names = {bool: "a boolean", str: "a string", int: "an integer", float: "a float", list: "such an array"}
    return next((name for kind, name in names.items() if isinstance(value, kind)), "a table or a date")
