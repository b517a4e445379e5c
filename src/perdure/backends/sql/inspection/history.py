"""Histories, a page of rows at a time, and what they begin with."""

from __future__ import annotations

from collections.abc import Mapping

from perdure.backends.event_rows import decode_events
from perdure.backends.looking import HistoryRow, not_found
from perdure.backends.rows import decode_started
from perdure.backends.sql.session import Session
from perdure.errors import StoreCorrupt
from perdure.model.event import ExecutionStarted
from perdure.model.inspection import HistoryEvent

ROWS = 1_000  # of a page: a transaction that reads must be short
_FEW = 8
_CURRENT = """select i.key, i.execution_id, e.position, e.events from perdure_instances i
    left join perdure_events e on e.instance_key = i.key and e.execution_number = i.execution_number
    where i.key {one_of_keys} order by i.key, e.position limit ?"""


def execution_number(session: Session, instance_key: int, execution_id: bytes | None) -> int | None:
    """Which execution of the chain that is; None is the current one. None if it isn't of the chain."""
    current = session.execute(
        "select execution_id, execution_number from perdure_instances where key = ?", (instance_key,)
    ).fetchone()
    if current is None:
        return None
    if execution_id is None or execution_id == current[0]:
        number: int = current[1]
        return number
    found = session.execute(
        "select number from perdure_executions where instance_key = ? and execution_id = ?",
        (instance_key, execution_id),
    ).fetchone()
    return None if found is None else found[0]


def instance_key(session: Session, instance_id: str) -> int:
    """Raises InstanceNotFound."""
    found = session.execute("select key from perdure_instances where instance_id = ?", (instance_id,)).fetchone()
    if found is None:
        raise not_found(instance_id)
    key: int = found[0]
    return key


def read_rows(
    session: Session, key: int, number: int, from_position: int, limit: int = ROWS
) -> tuple[list[HistoryRow], bool]:
    """A page of event rows, from the one that holds `from_position` on, and whether there may be more."""
    rows = session.execute(
        "select position, events from perdure_events where instance_key = ? and execution_number = ? "
        "and position >= coalesce((select max(position) from perdure_events "
        "where instance_key = ? and execution_number = ? and position <= ?), 0) order by position limit ?",
        (key, number, key, number, from_position, limit),
    ).fetchall()
    return rows, len(rows) == limit


def read_current(session: Session, executions: Mapping[int, bytes], limit: int = ROWS) -> dict[int, list[HistoryRow]]:
    """Whole histories by keys of instances, of those executions that are current; the last ones may not fit into the page."""
    found = session.execute(_CURRENT, (session.dialect.keys(tuple(executions)), limit)).fetchall()
    histories: dict[int, list[HistoryRow]] = {}
    for key, execution_id, position, events in found:
        if executions[key] == execution_id:
            rows = histories.setdefault(key, [])
            if position is not None:
                rows.append((position, events))
    if len(found) == limit:
        histories.pop(found[-1][0], None)
    return histories


def decode_rows(rows: list[HistoryRow], after: int) -> list[HistoryEvent]:
    """The events over position `after`. Raises StoreCorrupt."""
    return [event for position, row in rows for event in decode_events(position, row) if event.position > after]


def read_started(session: Session, instance_id: str) -> ExecutionStarted:
    """How the current execution was started. Raises InstanceNotFound, StoreCorrupt."""
    found = session.execute(
        "select key, execution_number, started from perdure_instances where instance_id = ?", (instance_id,)
    ).fetchone()
    if found is None:
        raise not_found(instance_id)
    key, number, started = found
    return started_of(session, key, number) if started is None else decode_started(started)


def started_of(session: Session, key: int, number: int) -> ExecutionStarted:
    """The first applied event of a history; only administrative ones can stand before it. Raises StoreCorrupt."""
    has_more, position = True, 0
    while has_more:
        rows, has_more = read_rows(session, key, number, position, _FEW)
        for found in decode_rows(rows, position - 1):
            if isinstance(found.event, ExecutionStarted):
                return found.event
            position = found.position + 1
    raise StoreCorrupt(f"the history of instance {key} doesn't say how it was started")
