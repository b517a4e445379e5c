"""What a batch has to write: gathered row by row, written by one `executemany` per statement."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Callable
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from perdure.backends.sqlite import statements as sql
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


class Writes:
    """Rows to insert, update and delete."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.instances: dict[int, InstanceRow] = {}
        self.events: list[Values] = []
        self.pending: list[Values] = []
        self.dropped_pending: list[Values] = []
        self.activities: dict[int, ActivityRow] = {}
        self.removed_activities: set[int] = set()
        self.executions: list[Values] = []
        self.published: list[Values] = []
        self.receipts: list[Values] = []
        self.bytes = 0
        """Roughly what the batch has to write, for its limit."""
        self.rows = 0
        """How many rows were written since `take_rows`, for the policy of checkpoints."""

    def clear(self) -> None:
        for gathered in (self.instances, self.activities, self.removed_activities):
            gathered.clear()
        for values in (
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
            self.removed_activities.add(row.key)

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

    def _write(self, statement: str, values: list[Values]) -> None:
        if values:
            self._connection.executemany(statement, values)
            self.rows += len(values)
            values.clear()

    def _flush_instances(self, unit: Unit) -> None:
        values: defaultdict[str, list[Values]] = defaultdict(list)
        now, wakes = unit.now, unit.wakes
        for row in self.instances.values():
            row.phase = phase = row.phase_at(now)
            if phase:
                assert row.wake_at is not None
                if row.worker is None:
                    wakes.workflow_due(row.queue, row.wake_at)
                else:
                    wakes.worker_due(row.worker, row.wake_at)
            if row.is_new:
                row.is_new = False
                is_fresh = row.shape == LEASED and row.worker is None and row.parent_id is None
                statement = sql.INSERT_FRESH if is_fresh else sql.INSERT_INSTANCE
                values[statement].append(_fresh(row) if is_fresh else instance_values(row))
            else:
                statement, of_row = _UPDATES[row.shape]
                values[statement].append(of_row(row))
            row.shape = LEASED
        self.instances.clear()
        for statement, rows in values.items():
            self._write(statement, rows)

    def _flush_activities(self, unit: Unit) -> bool:
        fresh: list[Values] = []
        new: list[Values] = []
        changed: list[Values] = []
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
            if row.is_new:
                row.is_new = False
                if row.is_fresh:
                    fresh.append(_fresh_activity(row))
                else:
                    new.append(activity_values(row))
            else:
                changed.append(_attempt(row))
        self.activities.clear()
        self._write(sql.INSERT_FRESH_ACTIVITY, fresh)
        self._write(sql.INSERT_ACTIVITY, new)
        self._write(sql.UPDATE_ACTIVITY, changed)
        if self.removed_activities:
            self._write(sql.DELETE_ACTIVITY, [(key,) for key in self.removed_activities])
            self.removed_activities.clear()
        return has_ready


def _fresh(row: InstanceRow) -> Values:
    """The parameters of INSERT_FRESH."""
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
        row.wake_at,
        row.phase,
        row.tags or "",
        bytearray(row.started or b""),
        row.created_at,
        row.created_at,
    )


def _lease(row: InstanceRow) -> Values:
    """The parameters of UPDATE_LEASE."""
    wake_at = -1 if row.wake_at is None else row.wake_at
    if row.worker is None:
        return -1, -1, row.claimed, wake_at, row.phase, row.key
    return row.worker, row.token, row.claimed, wake_at, row.phase, row.key


def _step(row: InstanceRow) -> Values:
    """The parameters of UPDATE_STEP and UPDATE_BEGUN."""
    is_free = row.worker is None
    return (
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
        row.key,
    )


def _ended(row: InstanceRow) -> Values:
    """The parameters of UPDATE_ENDED."""
    return (
        row.updated_at,
        row.position,
        row.history_bytes,
        row.open_activities,
        row.pending_count,
        row.next_pending,
        row.state,
        row.ended_at,
        bytearray(row.outcome or b""),
        row.key,
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
        -1 if row.expires_at is None else row.expires_at,
        -1 if is_free else row.worker,
        -1 if is_free else row.token,
        row.limited,
        row.phase,
        bytearray(row.body),
        row.scheduled_at,
    )


_reshaped = attrgetter(*sql.STEP_COLUMNS, *sql.OTHER_COLUMNS, "key")
_attempt = attrgetter(*sql.ATTEMPT_COLUMNS, "key")

_UPDATES: dict[int, tuple[str, Callable[[InstanceRow], Values]]] = {
    LEASED: (sql.UPDATE_LEASE, _lease),
    STEPPED: (sql.UPDATE_STEP, _step),
    BEGUN: (sql.UPDATE_BEGUN, _step),
    ENDED: (sql.UPDATE_ENDED, _ended),
    RESHAPED: (sql.UPDATE_RESHAPED, _reshaped),
}
"""How a row is written of which so much has changed."""
