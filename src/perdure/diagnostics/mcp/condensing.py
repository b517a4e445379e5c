"""Answers that fit an agent's context: nothing empty, nothing long, and a bound for the whole."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import msgspec

LARGEST = 24_000
"""Characters of an answer: some eight thousand tokens."""
MOST_ITEMS = 50
_MOST_TEXT = 1_500


class Bounds(NamedTuple):
    """How much of each list and of each text is shown."""

    items: int = MOST_ITEMS
    text: int = _MOST_TEXT


def condensed(answer: object, bounds: Bounds | None = None) -> str:
    """The answer as JSON of at most `LARGEST` characters: lists and texts are cut, as far as it takes, and say so."""
    bounds = bounds or Bounds()
    plain = msgspec.to_builtins(answer)
    while True:
        text = _json(_cut(plain, bounds))
        if len(text) <= LARGEST:
            return text
        if bounds == (1, 1):
            return text[:LARGEST]
        bounds = Bounds(max(1, bounds.items // 2), max(1, bounds.text // 2))


async def condensed_page(read: Callable[[int], Awaitable[object]], limit: int) -> str:
    """A page, of fewer items than `limit` if it would be too large: to cut items off it would lose them to its cursor."""
    while limit > 1:
        text = _json(_cut(msgspec.to_builtins(await read(limit)), Bounds()))
        if len(text) <= LARGEST:
            return text
        limit //= 2
    return condensed(await read(1))


def _cut(value: Any, bounds: Bounds) -> Any:
    if isinstance(value, str):
        return value if len(value) <= bounds.text else f"{value[: bounds.text]}… ({len(value):,} characters)"
    if isinstance(value, dict):
        return _cut_items({name: each for name, each in value.items() if each not in (None, "", [], {}, ())}, bounds)
    if isinstance(value, list | tuple):
        shown = [_cut(each, bounds) for each in value[: bounds.items]]
        return [*shown, f"… {len(value) - bounds.items:,} more"] if len(value) > bounds.items else shown
    return value


def _cut_items(value: dict[str, Any], bounds: Bounds) -> dict[str, Any]:
    """An object of the views has a few dozen fields; one of a user, such as tags, may have more."""
    shown = {name: _cut(each, bounds) for name, each in list(value.items())[: max(MOST_ITEMS, bounds.items)]}
    return {**shown, "…": f"{len(value) - len(shown):,} more"} if len(value) > len(shown) else shown


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
