"""The options of a store, out of a URL's query and keywords."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import UnionType
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import msgspec

from perdure.errors import ConfigurationError

S = TypeVar("S", bound=msgspec.Struct)

Read = Callable[[str, object], object]

_FLAGS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


def take_options(kind: type[S], given: dict[str, Any], place: str) -> S:
    """The store's own options; `given` keeps what isn't one. Raises ConfigurationError."""
    values: dict[str, Any] = {}
    for name, type_ in get_type_hints(kind).items():
        value = given.pop(name, None)
        if value is None:
            continue
        try:
            values[name] = _reader_of(type_, kind, name)(name, value)
        except ConfigurationError as problem:
            raise ConfigurationError(f"{place!r}: {problem}") from None
    return kind(**values)


def refuse_unknown(given: Iterable[str], place: str, own: Iterable[str], others: Iterable[str] = ()) -> None:
    """Raises ConfigurationError for what is neither an option of the store nor one of the connection."""
    known = list(own)
    unknown = sorted(set(given) - set(known) - set(others))
    if unknown:
        allowed = f"there are {', '.join(known)}" if known else "it takes none"
        of_connection = ", ".join(others)
        also = f"; and for the connection {of_connection}" if of_connection else ""
        raise ConfigurationError(f"{place!r}: this store has no option {', '.join(unknown)}; {allowed}{also}.")


def names_of(kind: type[msgspec.Struct]) -> tuple[str, ...]:
    return kind.__struct_fields__


def _reader_of(type_: object, kind: type[msgspec.Struct], name: str) -> Read:
    if get_origin(type_) is Literal:
        defaults = dict(zip(reversed(kind.__struct_fields__), reversed(kind.__struct_defaults__), strict=False))
        return _one_of(get_args(type_), defaults[name])
    if isinstance(type_, UnionType):  # with None
        type_ = get_args(type_)[0]
    return _READERS[type_]


def _one_of(values: tuple[str, ...], default: object) -> Read:
    def read(name: str, value: object) -> object:
        if isinstance(value, str) and value.lower() in values:
            return value.lower()
        known = " or ".join(f"{each} (the default)" if each == default else each for each in values)
        raise ConfigurationError(f"{name} is {value!r}; it can be {known}")

    return read


def _flag(name: str, value: object) -> object:
    flag = value if isinstance(value, bool) else _FLAGS.get(value.lower()) if isinstance(value, str) else None
    if flag is None:
        raise ConfigurationError(f"{name} is {value!r}; it can be true or false")
    return flag


def _seconds(name: str, value: object) -> object:
    try:
        seconds = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        seconds = -1.0
    if not 0 < seconds < float("inf"):
        raise ConfigurationError(f"{name} is {value!r}; it must be a number of seconds over 0")
    return seconds


def _count(name: str, value: object) -> object:
    text = str(value)
    if not text.isascii() or not text.isdigit() or int(text) == 0:
        raise ConfigurationError(f"{name} is {value!r}; it must be a whole number over 0")
    return int(text)


def _text(name: str, value: object) -> object:
    if not isinstance(value, str) or not value:
        raise ConfigurationError(f"{name} is {value!r}; it must be a text")
    return value


_READERS: Mapping[object, Read] = {bool: _flag, float: _seconds, int: _count, str: _text}
