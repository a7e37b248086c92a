"""Parameters of a request's query, as the API writes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kttun.sandbox.status import bad_request

if TYPE_CHECKING:
    from collections.abc import Mapping


def number(query: Mapping[str, str], name: str) -> int | None:
    """Give a number that is not negative, None when it is not there. Raises `StatusError` 400 for other text."""
    text = query.get(name)
    if not text:
        return None
    if not text.isdecimal():
        raise bad_request(f"invalid value for {name}: {text}")
    return int(text)


def flag(query: Mapping[str, str], name: str) -> bool:
    """Tell whether something is switched on."""
    return query.get(name) in {"true", "1"}
