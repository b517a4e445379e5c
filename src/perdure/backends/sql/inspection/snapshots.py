"""Everything of an instance out of the tables, for another store."""

from __future__ import annotations

from typing import Any

import msgspec

from perdure.backends.exports import (
    ActivityRecord,
    BlobRecord,
    EventsRecord,
    ExecutionRecord,
    InstanceRecord,
    PendingRecord,
    PublishedRecord,
    ReceiptRecord,
    Snapshot,
)
from perdure.backends.rows import (
    STATES,
    ActivityRow,
    InstanceRow,
    decode_failure,
    decode_outcome,
    decode_pending,
    decode_started,
)
from perdure.backends.sql.filters import Condition, conditions
from perdure.backends.sql.inspection.history import started_of
from perdure.backends.sql.inspection.instances import where_clause
from perdure.backends.sql.session import Session
from perdure.backends.sql.statements import ACTIVITIES_OF, INSTANCE_BY_KEY
from perdure.model.checkpoint import NewActivity
from perdure.model.inspection import InstanceFilter
from perdure.model.options import ParentClose

_decode_tags = msgspec.json.Decoder(dict[str, str]).decode


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
    executions = _executions(session, row)
    ids = {some.number: some.execution_id for some in executions}

    def rows(statement: str) -> list[tuple[Any, ...]]:
        return session.execute(statement, (row.key,)).fetchall()

    events = rows(
        "select execution_number, position, events from perdure_events where instance_key = ? "
        "order by execution_number, position"
    )
    activities = rows(ACTIVITIES_OF)
    pending = rows("select id, event from perdure_pending where instance_key = ? order by id")
    published = rows("select name, value from perdure_published where instance_key = ? order by name")
    receipts = rows("select message_id, expires_at from perdure_receipts where instance_key = ?")
    blobs = rows("select id, data from perdure_blobs where instance_key = ? order by id")
    waited_for = (ActivityRow(*some) for some in activities)
    return Snapshot(
        instance=_instance(session, row),
        executions=executions,
        events=[
            EventsRecord(execution_id=ids[number], position=position, events=encoded)
            for number, position, encoded in events
        ],
        pending=[PendingRecord(id=number, event=decode_pending(event)) for number, event in pending],
        activities=[
            _activity(some)
            for some in waited_for
            if not some.orphaned and some.execution_number == row.execution_number and not row.state
        ],
        published=[PublishedRecord(key=name, value=value) for name, value in published],
        receipts=[ReceiptRecord(message_id=message_id, expires_at=until) for message_id, until in receipts],
        blobs=[BlobRecord(blob_id=blob_id, data=data) for blob_id, data in blobs],
    )


def _instance(session: Session, row: InstanceRow) -> InstanceRecord:
    outcome = decode_outcome(row.outcome)
    is_fresh = row.started is not None
    started = (
        decode_started(row.started) if row.started is not None else started_of(session, row.key, row.execution_number)
    )
    return InstanceRecord(
        instance_id=row.instance_id,
        execution_id=row.execution_id,
        request_id=row.request_id,
        workflow=row.workflow,
        created_workflow=row.workflow if row.created_workflow is None else row.created_workflow,
        created_digest=row.digest if row.created_digest is None else row.created_digest,
        digest=row.digest,
        queue=row.queue,
        priority=row.priority,
        version=row.version,
        state=STATES[row.state],
        tags={} if row.tags is None else _decode_tags(row.tags),
        created_at=row.created_at,
        updated_at=row.updated_at,
        ended_at=row.ended_at,
        deadline_at=row.deadline_at,
        parent=row.parent,
        parent_close=ParentClose.ABANDON if row.parent_close is None else ParentClose(row.parent_close),
        started=started,
        is_fresh=is_fresh,
        position=row.position,
        history_bytes=row.history_bytes,
        next_pending_id=row.next_pending,
        wake_at=row.wake_at,
        suspended=bool(row.suspended),
        stuck_reason=row.stuck_reason,
        stuck_attempts=row.stuck_attempts,
        lost=row.lost,
        result=outcome.result,
        failure=outcome.failure,
        reason=outcome.reason,
    )


def _executions(session: Session, row: InstanceRow) -> list[ExecutionRecord]:
    past = session.execute(
        "select execution_id, number, state, started_at, ended_at, history_length from perdure_executions "
        "where instance_key = ? order by number",
        (row.key,),
    ).fetchall()
    current = (row.execution_id, row.execution_number, row.state, row.began_at, row.ended_at, row.position)
    return [
        ExecutionRecord(
            execution_id=execution_id,
            number=number,
            state=STATES[state],
            started_at=started_at,
            ended_at=ended_at,
            history_length=length,
        )
        for execution_id, number, state, started_at, ended_at, length in (*past, current)
    ]


def _activity(row: ActivityRow) -> ActivityRecord:
    fixed = row.fixed
    spec = NewActivity(
        number=row.number,
        name=row.name,
        arguments=fixed.arguments,
        queue=row.queue,
        priority=row.priority,
        retry=fixed.retry,
        timeout=fixed.timeout,
        total_timeout=fixed.total_timeout,
        queue_timeout=fixed.queue_timeout,
        heartbeat_timeout=fixed.heartbeat_timeout,
        headers=fixed.headers,
    )
    return ActivityRecord(
        spec=spec,
        attempt=row.attempt,
        lost=row.lost,
        scheduled_at=row.scheduled_at,
        due_at=row.due_at,
        last_failure=decode_failure(row.last_failure),
        heartbeat_details=row.details,
        cancel_requested=bool(row.cancel_requested),
    )
