"""Going through a value as JSON sees it, to find what an encoder doesn't tell: where the bad part is.

Without recursion where a value was encoded: that goes deeper than Python's own calls do.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import math
import uuid
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from typing import Any

import msgspec

from perdure.serialization.converters import Converters

SCALARS = frozenset[type](
    {
        *(str, int, float, bool, type(None), bytes, bytearray, memoryview),
        *(dt.datetime, dt.date, dt.time, dt.timedelta),
        *(uuid.UUID, Decimal, msgspec.Raw),
    }
)
"""The classes of values without parts."""
_NOT_FLOAT = SCALARS - {float}
_SETS = (set, frozenset)
_SEQUENCES = (list, tuple, set, frozenset)


def parts(value: Any, converters: Converters) -> Iterable[tuple[str, object]]:
    """The parts of a value, each with the step that leads to it, as in `.items`, `[3]` or `["key"]`."""
    if isinstance(value, dict):
        return ((f"[{key!r}]", part) for key, part in value.items())
    if isinstance(value, _SEQUENCES):
        names = getattr(value, "_fields", None)
        return zip((f".{name}" for name in names) if names else _indexes(), value, strict=False)
    names = field_names(value)
    if names is not None:
        return ((f".{name}", getattr(value, name, None)) for name in names)
    opened = visible(value, converters)
    return () if opened is value else parts(opened, converters)


def visible(value: object, converters: Converters) -> object:
    """The value, or what a converter makes of it."""
    if isinstance(value, (dict, *_SEQUENCES)) or field_names(value) is not None:
        return value
    opened = converters.opened(value)
    return value if opened is value or type(opened) is type(value) else visible(opened, converters)


def field_names(value: object) -> tuple[str, ...] | None:
    """The fields of a Struct, dataclass or attrs object; None for anything else."""
    if isinstance(value, msgspec.Struct):
        names: tuple[str, ...] = value.__struct_fields__
        return names
    if dataclasses.is_dataclass(value):
        return tuple(field.name for field in dataclasses.fields(value))
    attributes = getattr(type(value), "__attrs_attrs__", None)
    return None if attributes is None else tuple(attribute.name for attribute in attributes)


def _indexes() -> Iterator[str]:
    index = 0
    while True:
        yield f"[{index}]"
        index += 1


def has_set(value: object, converters: Converters) -> bool:
    """Whether a set of two or more is anywhere in the value."""
    return _occurs(value, converters, _is_large_set, SCALARS)


def has_non_finite(value: object, converters: Converters) -> bool:
    """Whether an inf or nan is anywhere in the value."""
    return _occurs(value, converters, _is_non_finite, _NOT_FLOAT)


def find_non_finite(value: object, converters: Converters) -> str | None:
    """The path to an inf or nan in the value."""
    waiting = [("", value)]
    while waiting:
        path, some = waiting.pop()
        if _is_non_finite(some):
            return path
        if type(some) not in SCALARS:
            waiting += reversed([(path + step, part) for step, part in parts(some, converters)])
    return None


def _is_large_set(value: object) -> bool:
    return isinstance(value, _SETS) and len(value) > 1


def _is_non_finite(value: object) -> bool:
    return isinstance(value, float) and not math.isfinite(value)


def _occurs(
    value: Any, converters: Converters, is_sought: Callable[[object], bool], passed_over: frozenset[type]
) -> bool:
    """Whether the value or one of its parts is what is sought; the quick way where no path is asked for."""
    waiting = [value]
    while waiting:
        value = waiting.pop()
        kind = type(value)
        if kind in passed_over:
            continue
        if is_sought(value):
            return True
        if kind is dict:
            waiting += value.values()
        elif kind is list or kind is tuple:
            waiting += value
        else:
            waiting += [part for _, part in parts(value, converters)]
    return False


def find_failing(value: object, converters: Converters, attempt: Callable[[object], object]) -> str:
    """The path to the smallest part that `attempt` fails on, as the whole did."""
    for step, part in _parts_or_none(value, converters):
        try:
            attempt(part)
        except Exception:
            return step + find_failing(part, converters, attempt)
    return ""


def _parts_or_none(value: object, converters: Converters) -> list[tuple[str, object]]:
    try:
        return list(parts(value, converters))
    except Exception:  # a converter that fails: the value itself is the smallest part
        return []


def find_largest(tree: object, encode: Callable[[object], bytes]) -> tuple[str, int]:
    """The path to the part of plain data that takes most of it, and its size in bytes."""
    path, size = "", len(encode(tree))
    while isinstance(tree, list | dict) and tree:
        steps = tree.items() if isinstance(tree, dict) else enumerate(tree)
        part_size, step, part = max(((len(encode(part)), step, part) for step, part in steps), key=lambda row: row[0])
        if part_size * 2 < size:
            break
        path += f"[{step!r}]" if isinstance(step, int) or not step.isidentifier() else f".{step}"
        tree, size = part, part_size
    return path, size


def complete_dataclasses(value: Any, converters: Converters) -> None:
    """Give decoded dataclasses the fields that msgspec left to the class's defaults.

    msgspec 0.22 sets no attribute for a field that wasn't in the input, and on encoding leaves it out: the same value
    would have two encodings.
    """
    if type(value) in SCALARS:
        return
    own = getattr(value, "__dict__", None)
    if own is not None and dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            if field.name not in own and hasattr(value, field.name):
                object.__setattr__(value, field.name, getattr(value, field.name))
    for _, part in parts(value, converters):
        complete_dataclasses(part, converters)
