"""Everything of an instance out of the tables, for another store."""

from __future__ import annotations

from typing import Any

from perdure.backends.exports import Snapshot
from perdure.backends.rows import ActivityRow, InstanceRow, decode_started
from perdure.backends.snapshots import snapshot
from perdure.backends.sql.filters import Condition, conditions
from perdure.backends.sql.inspection.history import started_of
from perdure.backends.sql.inspection.instances import where_clause
from perdure.backends.sql.session import Session
from perdure.backends.sql.statements import ACTIVITIES_OF, INSTANCE_BY_KEY
from perdure.model.inspection import InstanceFilter


def next_keys(session: Session, where: InstanceFilter, after: int, limit: int = 500) -> list[int]:
    """Keys of matching instances over `after`, oldest first."""
    text, parameters = where_clause([*conditions(where), Condition("key > ?", (after,))])
    statement = f"select key from perdure_instances {text} order by key limit ?"
    return [key for (key,) in session.execute(statement, (*parameters, limit)).fetchall()]


def snapshot_of(session: Session, key: int) -> Snapshot | None:
    """All of an instance, as it is at one moment; None if it has gone."""
    with session.snapshot():
        found = session.execute(INSTANCE_BY_KEY, (key,)).fetchone()
        return None if found is None else _snapshot(session, InstanceRow(*found))


def _snapshot(session: Session, row: InstanceRow) -> Snapshot:
    def rows(statement: str) -> list[tuple[Any, ...]]:
        return session.execute(statement, (row.key,)).fetchall()

    return snapshot(
        row,
        started=decode_started(row.started)
        if row.started is not None
        else started_of(session, row.key, row.execution_number),
        past=rows(
            "select execution_id, number, state, started_at, ended_at, history_length from perdure_executions "
            "where instance_key = ? order by number"
        ),
        events=rows(
            "select execution_number, position, events from perdure_events where instance_key = ? "
            "order by execution_number, position"
        ),
        pending=rows("select id, event from perdure_pending where instance_key = ? order by id"),
        activities=[ActivityRow(*values) for values in rows(ACTIVITIES_OF)],
        published=rows("select name, value from perdure_published where instance_key = ? order by name"),
        receipts=rows("select message_id, expires_at from perdure_receipts where instance_key = ?"),
        blobs=rows("select id, data from perdure_blobs where instance_key = ? order by id"),
    )
