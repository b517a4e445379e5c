"""What JSON doesn't know: values into plain data and back.

msgspec writes and reads JSON, dataclasses, Structs, attrs, enums, dates and so on by itself. It asks here for every
other class, inside of dataclasses and lists too; the first converter that claims a class has it: the user's own, then
pydantic's models, then those of the standard library.
"""

from __future__ import annotations

import collections
import datetime as dt
import ipaddress
import uuid
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import PurePath
from typing import Any, Protocol, get_args, get_origin
from zoneinfo import ZoneInfo

import msgspec

from perdure.serialization.pydantic_models import AdaptedType, PydanticConverter, adapted


class Converter(Protocol):
    """Makes a class that JSON doesn't know a payload.

    It is asked for classes only that msgspec doesn't know by itself. Its methods may be called from any thread, must
    give equal data for equal values, and have no effects: replay calls them again.
    """

    def claims(self, kind: type, /) -> bool:
        """Whether values of this class, and annotations with it, are this converter's. Asked once per class."""
        ...

    def encode(self, value: Any, /) -> object:
        """The value as data that JSON knows, or another converter."""
        ...

    def decode(self, data: Any, annotation: Any, /) -> Any:
        """The value again, an instance of the annotation's class. Raises ValueError or TypeError if it can't be one.

        `data` is what JSON made of `encode`'s: None, bool, int, float, str, list or dict. `annotation` is the class,
        or an alias of it with arguments, as in `Box[int]`.
        """
        ...


class Converters:
    """The chain of converters, and msgspec's encoder and decoders with it."""

    def __init__(self, converters: Sequence[Converter] = ()) -> None:
        self._chain: tuple[Converter, ...] = (*converters, PydanticConverter(), StandardLibrary(self.from_plain))
        self._found: dict[type, Converter | None] = {}
        self.encode: Callable[[object], bytes] = msgspec.json.Encoder(enc_hook=self._to_plain).encode

    def find(self, kind: type) -> Converter | None:
        """The converter that claims the class."""
        if kind not in self._found:
            self._found[kind] = next((converter for converter in self._chain if converter.claims(kind)), None)
        return self._found[kind]

    def can_decode(self, kind: type) -> bool:
        return kind is object or isinstance(kind, AdaptedType) or self.find(kind) is not None

    def decoder(self, annotation: Any) -> Callable[[bytes], Any]:
        """A typed decoder. Raises what msgspec raises for annotations that JSON can't serve."""
        decode: Callable[[bytes], Any] = msgspec.json.Decoder(annotation, dec_hook=self._from_plain).decode
        return decode

    def decodable(self, annotation: Any) -> Any:
        """The annotation itself, or, where pydantic alone can serve it, a stand-in that leaves it to pydantic."""
        try:
            self.decoder(annotation)
        except Exception:
            return adapted(annotation) or annotation
        return annotation

    def from_plain(self, data: object, annotation: Any) -> Any:
        """Plain data as the annotation's type."""
        return msgspec.convert(data, annotation, str_keys=True, dec_hook=self._from_plain)

    def opened(self, value: object) -> object:
        """What a converter makes of a value, with nothing of it hidden as text yet; other values as they are."""
        converter = self.find(type(value))
        if converter is None:
            return value
        if isinstance(converter, PydanticConverter):
            return converter.opened(value)
        return converter.encode(value)

    def _to_plain(self, value: object) -> object:
        converter = self.find(type(value))
        if converter is None:
            kind = type(value)
            raise TypeError(
                f"{kind.__module__}.{kind.__qualname__} can't be stored: JSON doesn't know it, nor does a converter"
            )
        return converter.encode(value)

    def _from_plain(self, annotation: Any, data: object) -> Any:
        if annotation is object:
            return data
        if isinstance(annotation, AdaptedType):
            return annotation.read(data)
        kind = get_origin(annotation) or annotation
        converter = self.find(kind)
        if converter is None:
            raise TypeError(f"no converter for {annotation!r}")
        return converter.decode(data, annotation)


_Encode = Callable[[Any], object]
_Decode = Callable[[Callable[[object, Any], Any], type, tuple[Any, ...], Any], Any]
"""(from_plain, class, arguments of the annotation, data) -> value."""


def _called(_: object, kind: type, __: object, data: Any) -> Any:
    return kind(data)


def _deque(from_plain: Callable[[object, Any], Any], kind: type, arguments: tuple[Any, ...], data: object) -> Any:
    return kind(from_plain(data, list[arguments or (Any,)]))  # type: ignore[misc]  # made at run time


def _ordered(from_plain: Callable[[object, Any], Any], kind: type, arguments: tuple[Any, ...], data: object) -> Any:
    return kind(from_plain(data, dict[arguments or (Any, Any)]))  # type: ignore[misc]  # made at run time


def _counter(from_plain: Callable[[object, Any], Any], kind: type, arguments: tuple[Any, ...], data: object) -> Any:
    return kind(from_plain(data, dict[(arguments or (Any,))[0], int]))  # type: ignore[misc]  # made at run time


def _complex(from_plain: Callable[[object, Any], Any], _: object, __: object, data: object) -> complex:
    return complex(*from_plain(data, tuple[float, float]))


def _exact_datetime(value: dt.datetime) -> dt.datetime:
    return dt.datetime.combine(dt.date(value.year, value.month, value.day), value.timetz())


_NETWORK = (
    ipaddress.IPv4Address,
    ipaddress.IPv6Address,
    ipaddress.IPv4Network,
    ipaddress.IPv6Network,
    ipaddress.IPv4Interface,
    ipaddress.IPv6Interface,
)
# Subclasses of what msgspec knows only exactly (numpy.float64, asyncpg's UUID, pendulum's DateTime) are stored as their base.
# The order matters: a datetime is a date too.
_STANDARD: dict[type, tuple[_Encode, _Decode]] = {
    PurePath: (str, _called),
    **dict.fromkeys(_NETWORK, (str, _called)),
    Fraction: (str, _called),
    ZoneInfo: (str, _called),
    complex: (lambda value: [value.real, value.imag], _complex),
    collections.deque: (list, _deque),
    collections.OrderedDict: (dict, _ordered),
    collections.Counter: (dict, _counter),
    str: (str.__str__, _called),
    float: (float.__float__, _called),
    int: (int.__int__, _called),
    bytes: (bytes.__bytes__, _called),
    uuid.UUID: (lambda value: uuid.UUID(int=value.int), _called),
    dt.datetime: (_exact_datetime, lambda _, kind, __, data: kind.fromisoformat(data)),  # type: ignore[attr-defined]
    dt.date: (lambda value: dt.date(value.year, value.month, value.day), _called),
}


class StandardLibrary:
    """Paths, network addresses, fractions, complex numbers, time zones, deques and dicts of a special kind."""

    def __init__(self, from_plain: Callable[[object, Any], Any]) -> None:
        self._from_plain = from_plain

    def claims(self, kind: type, /) -> bool:
        return _row(kind) is not None

    def encode(self, value: Any, /) -> object:
        row = _row(type(value))
        assert row is not None
        return row[0](value)

    def decode(self, data: Any, annotation: Any, /) -> Any:
        kind = get_origin(annotation) or annotation
        row = _row(kind)
        assert row is not None
        return row[1](self._from_plain, kind, get_args(annotation), data)


def _row(kind: type) -> tuple[_Encode, _Decode] | None:
    return next((_STANDARD[known] for known in kind.__mro__ if known in _STANDARD), None)
