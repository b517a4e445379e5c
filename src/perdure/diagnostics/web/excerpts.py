"""Lines of source around a place in workflow code."""

from __future__ import annotations

import linecache

import msgspec

from perdure.engine.whereabouts import Place

_AROUND = 3


class Line(msgspec.Struct, frozen=True):
    number: int
    text: str
    is_it: bool


def excerpt(place: Place) -> tuple[Line, ...]:
    """Those around the place, if its file can be read here."""
    first = max(place.line - _AROUND, 1)
    texts = [linecache.getline(place.file, number).rstrip() for number in range(first, place.line + _AROUND + 1)]
    while texts and not texts[-1] and len(texts) > place.line - first + 1:
        texts.pop()
    if not any(texts):
        return ()
    return tuple(Line(first + index, text, first + index == place.line) for index, text in enumerate(texts))
