"""Rows as the bytes of one value: the revision, by which the script sees that others have written, then the columns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from perdure.backends.redis.keys import pack, unpack
from perdure.backends.rows import ActivityRow, InstanceRow, activity_values, encode, instance_values
from perdure.errors import StoreCorrupt

R = TypeVar("R")

_decode = msgspec.msgpack.Decoder().decode


def encode_instance(row: InstanceRow) -> bytes:
    return pack(row.revision) + encode(instance_values(row))


def encode_activity(row: ActivityRow) -> bytes:
    return pack(row.revision) + encode(activity_values(row))


def decode_instance(value: bytes) -> InstanceRow:
    """Raises StoreCorrupt."""
    return _row(InstanceRow, value)


def decode_activity(value: bytes) -> ActivityRow:
    """Raises StoreCorrupt."""
    return _row(ActivityRow, value)


def decode(value: bytes) -> Any:
    """What was encoded as plain data. Raises StoreCorrupt."""
    try:
        return _decode(value)
    except msgspec.MsgspecError as problem:
        raise StoreCorrupt(f"a value can't be read: {problem}") from problem


def _row(make: Callable[..., R], value: bytes) -> R:
    columns = decode(memoryview(value)[8:])  # type: ignore[arg-type]
    row: Any = make(*columns)
    row.revision = unpack(value)
    return row  # type: ignore[no-any-return]
