"""Histories, a page of rows at a time, and what they begin with."""

from __future__ import annotations

import sqlite3

from perdure.backends.event_rows import decode_events
from perdure.backends.sqlite.inspection.outcomes import not_found
from perdure.backends.sqlite.rows import decode_started
from perdure.errors import StoreCorrupt
from perdure.model.event import ExecutionStarted
from perdure.model.inspection import HistoryEvent

_ROWS = 1_000  # of a page: a transaction that reads must be short


def execution_number(connection: sqlite3.Connection, instance_key: int, execution_id: bytes | None) -> int | None:
    """Which execution of the chain that is; None is the current one. None if it isn't of the chain."""
    current = connection.execute(
        "select execution_id, execution_number from perdure_instances where key = ?", (instance_key,)
    ).fetchone()
    if current is None:
        return None
    if execution_id is None or execution_id == current[0]:
        number: int = current[1]
        return number
    found = connection.execute(
        "select number from perdure_executions where instance_key = ? and execution_id = ?",
        (instance_key, execution_id),
    ).fetchone()
    return None if found is None else found[0]


def instance_key(connection: sqlite3.Connection, instance_id: str) -> int:
    """Raises InstanceNotFound."""
    found = connection.execute("select key from perdure_instances where instance_id = ?", (instance_id,)).fetchone()
    if found is None:
        raise not_found(instance_id)
    key: int = found[0]
    return key


def read_rows(
    connection: sqlite3.Connection, key: int, number: int, from_position: int
) -> tuple[list[tuple[int, bytes]], bool]:
    """A page of event rows, from the one that holds `from_position` on, and whether there may be more."""
    rows = connection.execute(
        "select position, events from perdure_events where instance_key = ? and execution_number = ? "
        "and position >= coalesce((select max(position) from perdure_events "
        "where instance_key = ? and execution_number = ? and position <= ?), 0) order by position limit ?",
        (key, number, key, number, from_position, _ROWS),
    ).fetchall()
    return rows, len(rows) == _ROWS


def decode_rows(rows: list[tuple[int, bytes]], after: int) -> list[HistoryEvent]:
    """The events over position `after`. Raises StoreCorrupt."""
    return [event for position, row in rows for event in decode_events(position, row) if event.position > after]


def read_started(connection: sqlite3.Connection, instance_id: str) -> ExecutionStarted:
    """How the current execution was started. Raises InstanceNotFound, StoreCorrupt."""
    found = connection.execute(
        "select key, execution_number, started from perdure_instances where instance_id = ?", (instance_id,)
    ).fetchone()
    if found is None:
        raise not_found(instance_id)
    key, number, started = found
    return started_of(connection, key, number) if started is None else decode_started(started)


def started_of(connection: sqlite3.Connection, key: int, number: int) -> ExecutionStarted:
    """The first applied event of a history; only administrative ones can stand before it. Raises StoreCorrupt."""
    rows = connection.execute(
        "select position, events from perdure_events where instance_key = ? and execution_number = ? order by position",
        (key, number),
    )
    try:
        for position, row in rows:
            for found in decode_events(position, row):
                if isinstance(found.event, ExecutionStarted):
                    return found.event
    finally:
        rows.close()
    raise StoreCorrupt(f"the history of instance {key} doesn't say how it was started")
