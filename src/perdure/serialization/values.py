"""Writing a value as JSON text and making sure that it comes back as what its annotation says."""

from __future__ import annotations

import re
from enum import Enum
from typing import Any

import msgspec

from perdure.errors import ConfigurationError, DecodeError, EncodeError
from perdure.serialization.annotations import holds, problems, scalar_classes, servable
from perdure.serialization.canonical import sort_sets
from perdure.serialization.converters import Converters
from perdure.serialization.walking import SCALARS, find_failing, find_non_finite, has_non_finite

_CONTAINERS = (dict, list, tuple, set, frozenset)
_BYTES_LIKE = (bytes, bytearray, memoryview)
_POSITION = re.compile(r" - at `(?:(?:key|value|tag) in )?\$([^`]*)`$")


class ValueSchema:
    """One annotated value. Raises ConfigurationError if the annotation can't be served."""

    def __init__(self, annotation: Any, converters: Converters) -> None:
        self._annotation = annotation
        decodable = converters.decodable(servable(annotation))
        found = problems(decodable, converters)
        if found:
            raise ConfigurationError(f"{describe(annotation)} can't be a payload: {'; '.join(found)}")
        self._converters = converters
        self._to_text = converters.encode
        self._decode = converters.decoder(decodable)
        self._holds = holds(decodable)
        self._sure = scalar_classes(decodable)

    def encode(self, value: object) -> bytes:
        """The value as JSON text. Raises EncodeError, also if it wouldn't come back as what is annotated."""
        try:
            text = self._to_text(value)
        except Exception as problem:
            raise _not_encodable(value, self._converters, problem) from problem
        if type(value) in self._sure and not isinstance(value, float):
            return text
        if self._holds.optional_numbers:
            refuse_non_finite(text, value, self._converters)
        if self._holds.sets:
            text = sort_sets(text, value, self._converters)
        if not self._holds.anything:
            self._check(value, text)
        return text

    def decode(self, text: bytes) -> Any:
        try:
            return self._decode(text)
        except Exception as problem:  # a converter may raise anything
            raise DecodeError(f"a stored payload isn't {describe(self._annotation)}: {problem}") from problem

    def _check(self, value: object, text: bytes) -> None:
        try:
            decoded = self._decode(text)
        except Exception as problem:
            refuse_non_finite(text, value, self._converters)
            reason, path = split_position(problem)
            raise EncodeError(
                _with_path(f"the value isn't {describe(self._annotation)}: {reason}", path), path
            ) from problem
        if not fits(value, decoded):
            kind = type(value).__qualname__
            raise EncodeError(
                f"the value isn't {describe(self._annotation)}: expected {type(decoded).__qualname__}, got {kind}"
            )


def to_text(value: object, converters: Converters) -> bytes:
    """Any value as JSON text. Raises EncodeError with the path to the part that can't be written."""
    try:
        return converters.encode(value)
    except Exception as problem:
        raise _not_encodable(value, converters, problem) from problem


def _not_encodable(value: object, converters: Converters, problem: Exception) -> EncodeError:
    if isinstance(problem, RecursionError):
        return EncodeError("the value is nested too deeply, or holds itself")
    path = trimmed(find_failing(value, converters, converters.encode))
    return EncodeError(_with_path(f"the value can't be encoded: {problem}", path), path)


def refuse_non_finite(text: bytes, value: object, converters: Converters) -> None:
    """Raises EncodeError for inf and nan, which msgspec writes as null."""
    if b"null" in text and has_non_finite(value, converters):
        path = trimmed(find_non_finite(value, converters) or "")
        raise EncodeError(_with_path("inf and nan can't be stored: JSON has no numbers for them", path), path)


def fits(given: object, decoded: object) -> bool:
    """Whether what comes back stands for what was given.

    JSON has fewer types than Python: a UUID given for a `str` would arrive as text, a `str` for `bytes` as what it
    means in base64, another class's object as one made of defaults. An int may stand for a float, and the containers
    that are an array or object in JSON for each other, a dict for a record too.
    """
    kind = type(decoded)
    if isinstance(given, kind) or (kind is float and isinstance(given, int)):
        return True
    if kind in _BYTES_LIKE:
        return isinstance(given, _BYTES_LIKE)
    return isinstance(given, _CONTAINERS) and kind not in SCALARS and not isinstance(decoded, Enum)


def split_position(problem: Exception) -> tuple[str, str]:
    """msgspec's message without its position, and the position as a path."""
    text = str(problem) if isinstance(problem, msgspec.ValidationError) else f"{type(problem).__name__}: {problem}"
    found = _POSITION.search(text)
    return (text[: found.start()], trimmed(found[1])) if found else (text, "")


def describe(annotation: Any) -> str:
    """An annotation as one would write it."""
    return annotation.__qualname__ if type(annotation) is type else str(annotation).replace("typing.", "")


def trimmed(path: str) -> str:
    return path.removeprefix(".")


def _with_path(message: str, path: str) -> str:
    return f"{message} (at {path})" if path else message
