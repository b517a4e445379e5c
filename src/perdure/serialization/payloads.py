"""Values to payloads and back: the converters, codecs and the limit of an App."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from perdure.errors import ConfigurationError, DecodeError, EncodeError, PayloadTooLarge
from perdure.serialization import canonical
from perdure.serialization.calls import CallSchema, Sealing
from perdure.serialization.codecs import Codec, CodecChain
from perdure.serialization.converters import Converter, Converters
from perdure.serialization.values import ValueSchema
from perdure.serialization.walking import find_largest

DEFAULT_LIMIT = 64 * 1024 * 1024
"""Whoever writes or reads a payload holds it in memory, a few times over."""

_MOST_CACHED = 10_000
"""Of schemas for functions or annotations; only code that makes them anew for each call gets there."""


class Payloads:
    """Writes and reads payloads: JSON text, or what codecs made of it.

    `limit_bytes` is for a payload as it is stored, after codecs. May be used by several threads.
    """

    def __init__(
        self,
        *,
        converters: Sequence[Converter] = (),
        codecs: Sequence[Codec] = (),
        limit_bytes: int = DEFAULT_LIMIT,
    ) -> None:
        if limit_bytes < 1:
            raise ConfigurationError(f"limit_bytes is {limit_bytes}: it must be at least 1")
        self._limit = limit_bytes
        self._converters = Converters(converters)
        self._codecs = CodecChain(codecs)
        self._sealing = Sealing(self._close, self._codecs.decode, -1 if codecs else limit_bytes)
        self._values: dict[Any, ValueSchema] = {}
        self._calls: dict[tuple[Callable[..., Any], int], CallSchema] = {}

    def encode(self, value: object, annotation: Any = Any) -> bytes:
        """The value as a payload of the annotated type.

        Raises:
            EncodeError: the value can't be written or wouldn't come back as annotated; `path` leads to the part.
            PayloadTooLarge: it is over the limit.
        """
        return self._close(self._schema(annotation, EncodeError).encode(value), "the value")

    def decode(self, payload: bytes, annotation: Any = Any) -> Any:
        """The value of a payload. Raises DecodeError."""
        return self._schema(annotation, DecodeError).decode(self._codecs.decode(payload))

    def call(self, function: Callable[..., Any], *, skip: int = 0) -> CallSchema:
        """How calls of the function are written, without its first `skip` parameters (`ctx`). Cached."""
        key = (function, skip)
        try:
            found = self._calls.get(key)
        except TypeError:  # a method of an unhashable object
            return CallSchema(function, skip, self._converters, self._sealing)
        if found is None:
            found = CallSchema(function, skip, self._converters, self._sealing)
            _remember(self._calls, key, found)
        return found

    def call_once(self, function: Callable[..., Any]) -> CallSchema:
        """The same, not cached: for functions that don't live on."""
        return CallSchema(function, 0, self._converters, self._sealing)

    def digest(self, payload: bytes) -> bytes:
        """16 bytes that are the same for equal values, whatever the order of their keys and the codecs."""
        text = self._codecs.decode(payload)
        try:
            return canonical.digest(text)
        except (msgspec.DecodeError, RecursionError) as problem:
            raise DecodeError(f"a stored payload isn't JSON: {problem}") from problem

    def check(self, annotation: Any) -> list[str]:
        """Why values of this type can't be payloads; empty if they can."""
        try:
            ValueSchema(annotation, self._converters)
        except ConfigurationError as problem:
            return [str(problem)]
        return []

    def plain_text(self, payload: bytes) -> bytes:
        """The payload's JSON text, without codecs, for showing. Raises DecodeError."""
        return self._codecs.decode(payload)

    def _schema(self, annotation: Any, error: type[EncodeError | DecodeError]) -> ValueSchema:
        try:
            found = self._values.get(annotation)
        except TypeError:  # Annotated with something unhashable
            return ValueSchema(annotation, self._converters)
        if found is None:
            try:
                found = ValueSchema(annotation, self._converters)
            except ConfigurationError as problem:
                raise error(str(problem)) from problem
            _remember(self._values, annotation, found)
        return found

    def _close(self, text: bytes, what: str) -> bytes:
        payload = self._codecs.encode(text)
        size = len(payload)
        if size <= self._limit:
            return payload
        path, part_size = find_largest(msgspec.json.decode(text), msgspec.json.encode)
        where = f"; {path} takes {part_size:,} bytes of JSON" if path else ""
        message = (
            f"{what} has {size:,} bytes, {self._limit:,} are allowed{where}. Store it elsewhere and pass a reference"
        )
        raise PayloadTooLarge(message, size, self._limit)


def _remember(cache: dict[Any, Any], key: object, schema: object) -> None:
    if len(cache) >= _MOST_CACHED:
        cache.clear()
    cache[key] = schema
