"""Label and field selectors (Kubernetes "Labels and Selectors", "Field Selectors") as predicates on objects.

The requirements `=`, `==`, `!=`, `KEY` and `!KEY`; no sets.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from kttun.sandbox.status import bad_request

if TYPE_CHECKING:
    from collections.abc import Callable

    Predicate = Callable[[dict[str, Any]], bool]

_EQUAL = re.compile(r"(?P<key>[^\s=!]+)\s*(?P<op>==?|!=)\s*(?P<value>\S*)")
_EXISTS = re.compile(r"(?P<no>!?)\s*(?P<key>[^\s=!()]+)")


def matching(labels: str = "", fields: str = "") -> Predicate:
    """Give the predicate of both selectors, either of them empty. Raises `StatusError` (400) for nonsense."""
    wanted = [_label(part.strip()) for part in labels.split(",") if part.strip()]
    wanted += [_field(part.strip()) for part in fields.split(",") if part.strip()]
    return lambda found: all(predicate(found) for predicate in wanted)


def labels_of(found: dict[str, Any]) -> dict[str, str]:
    """Give the labels of an object."""
    return found["metadata"].get("labels") or {}


def _label(text: str) -> Predicate:
    if match := _EQUAL.fullmatch(text):
        key, value, equal = match["key"], match["value"], match["op"] != "!="
        return lambda found: (labels_of(found).get(key) == value) is equal
    if match := _EXISTS.fullmatch(text):
        key, exists = match["key"], not match["no"]
        return lambda found: (key in labels_of(found)) is exists
    raise bad_request(f"unable to parse requirement: {text}")


def _field(text: str) -> Predicate:
    match = _EQUAL.fullmatch(text)
    if match is None:
        raise bad_request(f"invalid field selector: {text}")
    path, value, equal = match["key"].split("."), match["value"], match["op"] != "!="

    def fits(found: dict[str, Any]) -> bool:
        here: Any = found
        for step in path:
            here = here.get(step) if isinstance(here, dict) else None
        return (str(here if here is not None else "") == value) is equal

    return fits
