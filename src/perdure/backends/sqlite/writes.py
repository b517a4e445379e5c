"""What a batch has to write: gathered row by row, written by one statement for each kind of change."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from perdure.backends.sqlite import statements as sql
from perdure.backends.sqlite.bulk import Bulk
from perdure.backends.sqlite.rows import (
    BEGUN,
    ENDED,
    LEASED,
    READY,
    RESHAPED,
    STEPPED,
    WAITING,
    ActivityRow,
    InstanceRow,
    activity_values,
    instance_values,
)

if TYPE_CHECKING:
    from perdure.backends.sqlite.unit import Unit

Values = tuple[Any, ...]

_MANY_BYTES = 1_000_000  # of a batch; over it, rows are written one by one


class Writes:
    """Rows to insert, update and delete."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.instances: dict[int, InstanceRow] = {}
        self.activities: dict[int, ActivityRow] = {}
        self.removed_activities: list[int] = []
        # Of these the rows' values, one behind the other.
        self.events: list[Any] = []
        self.pending: list[Any] = []
        self.dropped_pending: list[Any] = []
        self.executions: list[Any] = []
        self.published: list[Any] = []
        self.receipts: list[Any] = []
        self.bytes = 0
        """Roughly what the batch has to write, for its limit."""
        self.rows = 0
        """How many rows were written since `take_rows`, for the policy of checkpoints."""

    def clear(self) -> None:
        self.instances.clear()
        self.activities.clear()
        for values in (
            self.removed_activities,
            self.events,
            self.pending,
            self.dropped_pending,
            self.executions,
            self.published,
            self.receipts,
        ):
            values.clear()
        self.bytes = 0

    def take_rows(self) -> int:
        rows, self.rows = self.rows, 0
        return rows

    def remove_activity(self, row: ActivityRow) -> None:
        self.activities.pop(row.key, None)
        if row.is_new:
            row.is_new = False
        else:
            self.removed_activities.append(row.key)

    def flush(self, unit: Unit) -> bool:
        """Write it all. Whether an activity was written that others may claim."""
        if self.instances:
            self._flush_instances(unit)
        self._write(sql.INSERT_EVENTS, self.events)
        self._write(sql.INSERT_EXECUTION, self.executions)
        self.flush_pending()
        has_ready = self._flush_activities(unit)
        self._write(sql.PUBLISH, self.published)
        self.flush_receipts()
        return has_ready

    def flush_pending(self) -> None:
        """In this order: an event may have come and gone within the batch."""
        self._write(sql.INSERT_PENDING, self.pending)
        self._write(sql.DELETE_PENDING, self.dropped_pending)

    def flush_receipts(self) -> None:
        self._write(sql.INSERT_RECEIPT, self.receipts)

    def _write(self, statement: Bulk, values: list[Any]) -> None:
        if values:
            write = statement.write if self.bytes < _MANY_BYTES else statement.write_singly
            self.rows += write(self._connection, values)
            values.clear()

    def _flush_instances(self, unit: Unit) -> None:
        values: dict[Bulk, list[Any]] = {}
        now = unit.now
        for row in self.instances.values():
            phase = row.phase = row.phase_at(now)
            if phase:
                _wake(unit, row)
            kind = _of_new(row) if row.is_new else row.shape
            row.is_new, row.shape = False, LEASED
            statement, of_row = _WRITTEN[kind]
            some = values.get(statement)
            if some is None:
                some = values[statement] = []
            some += of_row(row)
        self.instances.clear()
        for statement, rows in values.items():
            self._write(statement, rows)

    def _flush_activities(self, unit: Unit) -> bool:
        fresh: list[Any] = []
        new: list[Any] = []
        changed: list[Any] = []
        has_ready = False
        for row in list(self.activities.values()):
            if row.worker is None:
                instance = unit.instance(row.instance_key)
                row.phase = row.phase_at(unit.now, suspended=instance.suspended if instance is not None else 0)
                if row.phase in {READY, WAITING}:
                    has_ready = has_ready or row.phase == READY
                    unit.wakes.activity_due(row.queue, row.due_at)
            else:
                row.phase = 0
            if not row.is_new:
                changed += _attempt(row)
                continue
            row.is_new = False
            if row.is_fresh:
                fresh += _fresh_activity(row)
            else:
                new += activity_values(row)
        self.activities.clear()
        self._write(sql.INSERT_FRESH_ACTIVITY, fresh)
        self._write(sql.INSERT_ACTIVITY, new)
        self._write(sql.UPDATE_ACTIVITY, changed)
        self._write(sql.DELETE_ACTIVITY, self.removed_activities)
        return has_ready


def _wake(unit: Unit, row: InstanceRow) -> None:
    assert row.wake_at is not None
    if row.worker is None:
        unit.wakes.workflow_due(row.queue, row.wake_at)
    else:
        unit.wakes.worker_due(row.worker, row.wake_at)


def _of_new(row: InstanceRow) -> int:
    """Which statement is enough for a new row."""
    if row.parent_id is not None or row.shape > STEPPED:
        return _WHOLE
    if row.started is None:
        return _NEW_BEGUN
    return _NEW if row.shape == LEASED and row.worker is None else _WHOLE


def _birth(row: InstanceRow) -> Values:
    """The first parameters of both INSERT_FRESH and INSERT_BEGUN."""
    return (
        row.key,
        row.instance_id,
        bytearray(row.execution_id),
        row.workflow,
        row.queue,
        row.priority,
        row.version or "",
        row.created_at,
        -1 if row.deadline_at is None else row.deadline_at,
        bytearray(row.request_id),
        bytearray(row.digest),
        row.tags or "",
        row.began_at,
    )


def _fresh(row: InstanceRow) -> Values:
    """The parameters of INSERT_FRESH."""
    return *_birth(row), row.wake_at, row.phase, bytearray(row.started or b""), row.updated_at


def _begun(row: InstanceRow) -> Values:
    """The parameters of INSERT_BEGUN."""
    return _birth(row) + _step(row)[1:]


def _lease(row: InstanceRow) -> Values:
    """The parameters of UPDATE_LEASE."""
    wake_at = -1 if row.wake_at is None else row.wake_at
    if row.worker is None:
        return row.key, -1, -1, row.claimed, wake_at, row.phase
    return row.key, row.worker, row.token, row.claimed, wake_at, row.phase


def _step(row: InstanceRow) -> Values:
    """The parameters of UPDATE_STEP and UPDATE_BEGUN."""
    is_free = row.worker is None
    return (
        row.key,
        -1 if is_free else row.worker,
        -1 if is_free else row.token,
        row.claimed,
        -1 if row.wake_at is None else row.wake_at,
        row.phase,
        row.updated_at,
        row.position,
        row.history_bytes,
        row.open_activities,
        row.pending_count,
        row.next_pending,
    )


def _ended(row: InstanceRow) -> Values:
    """The parameters of UPDATE_ENDED."""
    return (
        row.key,
        row.updated_at,
        row.position,
        row.history_bytes,
        row.open_activities,
        row.pending_count,
        row.next_pending,
        row.state,
        row.ended_at,
        bytearray(row.outcome or b""),
    )


def _fresh_activity(row: ActivityRow) -> Values:
    """The parameters of INSERT_FRESH_ACTIVITY."""
    is_free = row.worker is None
    return (
        row.key,
        row.instance_key,
        row.execution_number,
        row.number,
        row.name,
        row.queue,
        row.priority,
        row.scheduled_at,
        row.due_at,
        -1 if row.expires_at is None else row.expires_at,
        -1 if is_free else row.worker,
        -1 if is_free else row.token,
        row.limited,
        row.phase,
        bytearray(row.body),
    )


_reshaped = attrgetter("key", *sql.STEP_COLUMNS, *sql.OTHER_COLUMNS)
_attempt = attrgetter("key", *sql.ATTEMPT_COLUMNS)

_NEW, _NEW_BEGUN, _WHOLE = range(-3, 0)

_WRITTEN: dict[int, tuple[Bulk, Callable[[InstanceRow], Values]]] = {
    _NEW: (sql.INSERT_FRESH, _fresh),
    _NEW_BEGUN: (sql.INSERT_BEGUN, _begun),
    _WHOLE: (sql.INSERT_INSTANCE, instance_values),
    LEASED: (sql.UPDATE_LEASE, _lease),
    STEPPED: (sql.UPDATE_STEP, _step),
    BEGUN: (sql.UPDATE_BEGUN, _step),
    ENDED: (sql.UPDATE_ENDED, _ended),
    RESHAPED: (sql.UPDATE_RESHAPED, _reshaped),
}
"""How a row is written that is new, or of which so much has changed."""
