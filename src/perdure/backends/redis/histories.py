"""Histories, a page of rows at a time: a list for each execution, in order of positions."""

from __future__ import annotations

from collections.abc import Iterable

from perdure.backends.event_rows import decode_events
from perdure.backends.looking import HistoryRow
from perdure.backends.redis.keys import Keys, unpack
from perdure.backends.redis.scripts import Client, read
from perdure.backends.rows import InstanceRow
from perdure.errors import StoreCorrupt
from perdure.model.event import ExecutionStarted

_ROWS = 1_000
_FEW = 8


def read_rows(
    client: Client, keys: Keys, instance_key: int, number: int, from_position: int, limit: int = _ROWS
) -> tuple[list[HistoryRow], bool]:
    """A page of rows, from the one that holds `from_position` on, and whether there may be more."""
    key = keys.events(instance_key, number)
    first = _place_of(client, key, from_position) if from_position > 0 else 0
    (found,) = read(client, [("LRANGE", key, first, first + limit - 1)])
    return [split(row) for row in found], len(found) == limit


def read_whole(client: Client, keys: Keys, rows: Iterable[InstanceRow]) -> dict[int, list[HistoryRow]]:
    """All of the current histories of these instances, but for those that are too long to be read with the others."""
    room, fitting = _ROWS, list[InstanceRow]()
    for row in rows:
        if row.position <= room:  # each of its rows has at least one event
            room -= row.position
            fitting.append(row)
    if not fitting:
        return {}
    found = read(client, [("LRANGE", keys.events(row.key, row.execution_number), 0, -1) for row in fitting])
    return {row.key: [split(each) for each in history] for row, history in zip(fitting, found, strict=True)}


def _place_of(client: Client, key: bytes, position: int) -> int:
    """Where the row stands that holds the position: the last one that begins at it or before it."""
    (length,) = read(client, [("LLEN", key)])
    low, high = 0, min(length, position + 1)  # each row has at least one event
    while high - low > 1:
        middle = (low + high) // 2
        (row,) = read(client, [("LINDEX", key, middle)])
        if row is not None and unpack(row) <= position:
            low = middle
        else:
            high = middle
    return low


def split(row: bytes) -> HistoryRow:
    return unpack(row), row[8:]


def started_of(client: Client, keys: Keys, instance_key: int, number: int) -> ExecutionStarted:
    """The first applied event of a history; only administrative ones can stand before it. Raises StoreCorrupt."""
    has_more, position = True, 0
    while has_more:
        rows, has_more = read_rows(client, keys, instance_key, number, position, _FEW)
        for start, row in rows:
            for found in decode_events(start, row):
                if isinstance(found.event, ExecutionStarted):
                    return found.event
                position = found.position + 1
    raise StoreCorrupt(f"the history of instance {instance_key} doesn't say how it was started")
