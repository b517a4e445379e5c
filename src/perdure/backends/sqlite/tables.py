"""The tables in SQLite: rows of a batch are written by one statement for each kind of change."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any

from perdure.backends.rows import (
    BEGUN,
    ENDED,
    LEASED,
    RESHAPED,
    STEPPED,
    ActivityRow,
    InstanceRow,
    activity_values,
    instance_values,
)
from perdure.backends.sql.statements import ATTEMPT_COLUMNS, OTHER_COLUMNS, REMOVE_INSTANCES, STEP_COLUMNS
from perdure.backends.sql.tables import SqlTables
from perdure.backends.sqlite import statements as sql
from perdure.backends.sqlite.bulk import Bulk
from perdure.backends.sqlite.session import SqliteSession
from perdure.backends.unit.changes import Changes
from perdure.backends.unit.unit import Unit

Values = tuple[Any, ...]

_LOCKS_OF_MACHINE = "select key, lock_name from perdure_workers where is_alive = 1 and machine = ?"
_MANY_BYTES = 1_000_000  # of a batch; over it, rows are written one by one


class SqliteTables(SqlTables):
    """The tables behind the connection that writes."""

    def __init__(self, session: SqliteSession) -> None:
        super().__init__(session)
        self.connection = session.connection
        self._version = -1
        self._is_large = False
        self.rows = 0
        """How many rows were written since `take_rows`, for the policy of checkpoints."""

    def strangers_wrote(self) -> bool | None:
        """Whether another connection has committed since this was last asked; None if it was never asked before."""
        (version,) = self.connection.execute("pragma data_version").fetchone()
        if version == self._version:
            return False
        is_first, self._version = self._version == -1, version
        return None if is_first else True

    def locks_of_machine(self, machine: str) -> list[tuple[int, str]]:
        """The living workers of a machine, with their lock files."""
        return self.session.execute(_LOCKS_OF_MACHINE, (machine,)).fetchall()

    def take_rows(self) -> int:
        rows, self.rows = self.rows, 0
        return rows

    def remove_instances(self, rows: Sequence[InstanceRow]) -> None:
        keys = self._keys([row.key for row in rows])
        self.rows += sum(self._execute(statement, (keys,)).rowcount for statement in REMOVE_INSTANCES)

    def write(self, changes: Changes) -> None:
        self._is_large = changes.bytes >= _MANY_BYTES
        if changes.instances:
            self._write_instances(changes)
        self._write(sql.INSERT_EVENTS, changes.events)
        self._write(sql.INSERT_EXECUTION, changes.executions)
        if changes.pending or changes.dropped_pending or changes.cleared_pending:
            self._write_pending(changes)
        self._write_activities(changes)
        if changes.blobs or changes.dropped_blobs:
            self._write_blobs(changes)
        if changes.published:
            self._write(
                sql.PUBLISH, [value for (key, name), said in changes.published.items() for value in (key, name, said)]
            )
        if changes.receipts:
            receipts = changes.receipts.items()
            self._write(
                sql.INSERT_RECEIPT, [value for (key, name), at in receipts for value in (key, bytearray(name), at)]
            )
        if changes.buckets:
            buckets = changes.buckets.items()
            self._write(sql.PUT_BUCKET, [value for queue, left in buckets for value in (queue, left.level, left.at)])

    def _write(self, statement: Bulk, values: list[Any]) -> None:
        if values:
            write = statement.write_singly if self._is_large else statement.write
            self.rows += write(self.connection, values)

    def _write_instances(self, changes: Changes) -> None:
        values: dict[Bulk, list[Any]] = {}
        for row in changes.instances.values():
            statement, of_row = _WRITTEN[_of_new(row) if row.is_new else row.shape]
            some = values.get(statement)
            if some is None:
                some = values[statement] = []
            some += of_row(row)
        for statement, rows in values.items():
            self._write(statement, rows)

    def _write_pending(self, changes: Changes) -> None:
        new = changes.pending.items()
        self._write(sql.CLEAR_PENDING, list(changes.cleared_pending))
        self._write(
            sql.INSERT_PENDING,
            [
                value
                for key, events in new
                for number, event in events.items()
                for value in (key, number, bytearray(event))
            ],
        )
        dropped = changes.dropped_pending.items()
        self._write(
            sql.DELETE_PENDING, [value for key, numbers in dropped for number in numbers for value in (key, number)]
        )

    def _write_activities(self, changes: Changes) -> None:
        fresh: list[Any] = []
        new: list[Any] = []
        changed: list[Any] = []
        for row in changes.activities.values():
            if not row.is_new:
                changed += _attempt(row)
            elif row.is_fresh:
                fresh += _fresh_activity(row)
            else:
                new += activity_values(row)
        self._write(sql.INSERT_FRESH_ACTIVITY, fresh)
        self._write(sql.INSERT_ACTIVITY, new)
        self._write(sql.UPDATE_ACTIVITY, changed)
        self._write(sql.DELETE_ACTIVITY, list(changes.removed_activities))


def connection_of(unit: Unit) -> sqlite3.Connection:
    """What the unit writes through."""
    assert isinstance(unit.tables, SqliteTables)
    return unit.tables.connection


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
        bytearray(row.retention or b""),
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
        -1 if row.remove_at is None else row.remove_at,
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


_reshaped = attrgetter("key", *STEP_COLUMNS, *OTHER_COLUMNS)
_attempt = attrgetter("key", *ATTEMPT_COLUMNS)

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
