"""Label and field selectors (Kubernetes "Labels and Selectors", "Field Selectors") as predicates on objects."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from kttun.sandbox.status import bad_request

if TYPE_CHECKING:
    from collections.abc import Callable

    Predicate = Callable[[dict[str, Any]], bool]

_SET = re.compile(r"(?P<key>\S+)\s+(?P<op>in|notin)\s*\((?P<values>[^)]*)\)")
_EQUAL = re.compile(r"(?P<key>[^\s=!]+)\s*(?P<op>==?|!=)\s*(?P<value>\S*)")
_EXISTS = re.compile(r"(?P<no>!?)\s*(?P<key>[^\s=!()]+)")
_COMMA = re.compile(r",(?![^(]*\))")
"""A comma that parts requirements: one inside parentheses parts values."""


def matching(labels: str = "", fields: str = "") -> Predicate:
    """Give the predicate of both selectors, either of them empty. Raises `StatusError` (400) for nonsense."""
    wanted = [_label(part.strip()) for part in _COMMA.split(labels) if part.strip()]
    wanted += [_field(part.strip()) for part in fields.split(",") if part.strip()]
    return lambda found: all(predicate(found) for predicate in wanted)


def matches_labels(selector: dict[str, Any] | None, labels: dict[str, str]) -> bool:
    """Tell whether labels fit a LabelSelector object (meta/v1: matchLabels and matchExpressions)."""
    selector = selector or {}
    wanted = [f"{key}={value}" for key, value in (selector.get("matchLabels") or {}).items()]
    for one in selector.get("matchExpressions") or ():
        key, op, values = one["key"], one["operator"], f"({','.join(one.get('values') or ())})"
        wanted.append({"In": f"{key} in {values}", "NotIn": f"{key} notin {values}", "Exists": key}.get(op, f"!{key}"))
    return matching(",".join(wanted))({"metadata": {"labels": labels}})


def _labels(found: dict[str, Any]) -> dict[str, str]:
    return found["metadata"].get("labels") or {}


def _label(text: str) -> Predicate:
    if match := _SET.fullmatch(text):
        key, values = match["key"], {value.strip() for value in match["values"].split(",")}
        inside = match["op"] == "in"
        return lambda found: (_labels(found).get(key) in values) is inside
    if match := _EQUAL.fullmatch(text):
        key, value, equal = match["key"], match["value"], match["op"] != "!="
        return lambda found: (_labels(found).get(key) == value) is equal
    if match := _EXISTS.fullmatch(text):
        key, exists = match["key"], not match["no"]
        return lambda found: (key in _labels(found)) is exists
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
