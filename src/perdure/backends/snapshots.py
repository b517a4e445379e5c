"""Everything of an instance out of its rows, for another store; in which tables they lie is up to each store."""

from __future__ import annotations

from collections.abc import Iterable

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
    decode_retention,
)
from perdure.clock import Micros
from perdure.model.checkpoint import NewActivity
from perdure.model.event import ExecutionStarted
from perdure.model.options import ParentClose

_decode_tags = msgspec.json.Decoder(dict[str, str]).decode

PastExecution = tuple[bytes, int, int, Micros, Micros, int]
"""Its id, number, state, start, end, length of its history."""


def snapshot(  # noqa: PLR0913 - each is a table
    row: InstanceRow,
    *,
    started: ExecutionStarted,
    past: Iterable[PastExecution],
    events: Iterable[tuple[int, int, bytes]],
    pending: Iterable[tuple[int, bytes]],
    activities: Iterable[ActivityRow],
    published: Iterable[tuple[str, bytes]],
    receipts: Iterable[tuple[bytes, Micros]],
    blobs: Iterable[tuple[bytes, bytes]],
) -> Snapshot:
    """Of rows in the order of a Snapshot. Events come with execution number and position. Raises StoreCorrupt."""
    executions = _executions(row, past)
    ids = {some.number: some.execution_id for some in executions}
    return Snapshot(
        instance=_instance(row, started),
        executions=executions,
        events=[
            EventsRecord(execution_id=ids[number], position=position, events=encoded)
            for number, position, encoded in events
        ],
        pending=[PendingRecord(id=number, event=decode_pending(event)) for number, event in pending],
        activities=[
            _activity(some)
            for some in activities
            if not some.orphaned and some.execution_number == row.execution_number and not row.state
        ],
        published=[PublishedRecord(key=name, value=value) for name, value in published],
        receipts=[ReceiptRecord(message_id=message_id, expires_at=until) for message_id, until in receipts],
        blobs=[BlobRecord(blob_id=blob_id, data=data) for blob_id, data in blobs],
    )


def _instance(row: InstanceRow, started: ExecutionStarted) -> InstanceRecord:
    outcome = decode_outcome(row.outcome)
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
        is_fresh=row.started is not None,
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
        retention=decode_retention(row.retention),
        remove_at=row.remove_at,
    )


def _executions(row: InstanceRow, past: Iterable[PastExecution]) -> list[ExecutionRecord]:
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
