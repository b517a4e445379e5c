"""An instance from another store into the tables, under no lease."""

from __future__ import annotations

import msgspec

from perdure.backends.exports import ActivityRecord, InstanceRecord, Snapshot
from perdure.backends.rows import (
    RESHAPED,
    STATE_NUMBERS,
    ActivityBody,
    ActivityRow,
    InstanceRow,
    StoredOutcome,
    encode,
)
from perdure.backends.rules.checkpoints import expires_at
from perdure.backends.rules.posting import post_adoption
from perdure.backends.unit.unit import Unit
from perdure.errors import InstanceAlreadyExists
from perdure.model.task import PendingEvent

_encode_tags = msgspec.json.Encoder().encode


def import_snapshot(unit: Unit, snapshot: Snapshot) -> bool:
    """False if it is here already. Raises InstanceAlreadyExists."""
    record = snapshot.instance
    existing = unit.instance_by_id(record.instance_id)
    if existing is not None:
        if _is_of_chain(unit, existing, record.execution_id):
            return False
        raise InstanceAlreadyExists(
            f"another instance has the id {record.instance_id!r} in the store that it is copied to", record.instance_id
        )
    row = _instance_row(unit, snapshot)
    unit.add_instance(row)
    unit.change(row, RESHAPED)
    if not record.is_fresh:
        row.started = row.started_event = None
    _add_histories(unit, row, snapshot)
    for pending in snapshot.pending:
        unit.changes.add_pending(row.key, pending.id, encode(pending.event))
    row.pending = [PendingEvent(pending.id, pending.event) for pending in snapshot.pending]
    row.pending_count = len(row.pending)
    for activity in snapshot.activities:
        _add_activity(unit, row, activity)
    for published in snapshot.published:
        unit.changes.published[row.key, published.key] = published.value
    for receipt in snapshot.receipts:
        unit.changes.receipts[row.key, receipt.message_id] = receipt.expires_at
    unit.flush()
    for blob in snapshot.blobs:
        unit.tables.put_blob(row.key, blob.blob_id, blob.data)
    _count_children(unit, row)
    return True


def _is_of_chain(unit: Unit, row: InstanceRow, execution_id: bytes) -> bool:
    if row.execution_id == execution_id:
        return True
    unit.flush()
    return unit.tables.is_past_execution(row.key, execution_id)


def _instance_row(unit: Unit, snapshot: Snapshot) -> InstanceRow:
    record = snapshot.instance
    current = next(some for some in snapshot.executions if some.execution_id == record.execution_id)
    has_changed = (record.workflow, record.digest) != (record.created_workflow, record.created_digest)
    return InstanceRow(
        key=_free_key(unit, record),
        instance_id=record.instance_id,
        execution_id=record.execution_id,
        execution_number=current.number,
        began_at=current.started_at,
        workflow=record.workflow,
        queue=record.queue,
        priority=record.priority,
        version=record.version,
        state=STATE_NUMBERS[record.state],
        created_at=record.created_at,
        updated_at=record.updated_at,
        ended_at=record.ended_at,
        deadline_at=record.deadline_at,
        parent_id=None if record.parent is None else record.parent.instance_id,
        parent_execution=None if record.parent is None else record.parent.execution_id,
        parent_number=None if record.parent is None else record.parent.number,
        parent_close=None if record.parent is None else record.parent_close.value,
        request_id=record.request_id,
        digest=record.digest,
        created_workflow=record.created_workflow if has_changed else None,
        created_digest=record.created_digest if has_changed else None,
        position=record.position,
        history_bytes=record.history_bytes,
        next_pending=record.next_pending_id,
        wake_at=record.wake_at,
        suspended=int(record.suspended),
        stuck_reason=record.stuck_reason,
        stuck_attempts=record.stuck_attempts,
        lost=record.lost,
        tags=_encode_tags(record.tags).decode() if record.tags else None,
        outcome=encode(StoredOutcome(record.result, record.failure, record.reason)) if record.ended_at else None,
        retention=None if record.retention is None else encode(record.retention),
        remove_at=record.remove_at,
        started=encode(record.started),
        started_event=record.started,
    )


def _free_key(unit: Unit, record: InstanceRecord) -> int:
    while unit.instance(key := unit.keys.draw_for(record.created_at)) is not None:
        continue
    return key


def _add_histories(unit: Unit, row: InstanceRow, snapshot: Snapshot) -> None:
    numbers = {some.execution_id: some.number for some in snapshot.executions}
    for events in snapshot.events:
        unit.changes.events += (row.key, numbers[events.execution_id], events.position, events.events)
    for some in snapshot.executions:
        if some.execution_id != row.execution_id:
            unit.changes.executions += (
                row.key,
                some.number,
                some.execution_id,
                STATE_NUMBERS[some.state],
                some.started_at,
                some.started_at if some.ended_at is None else some.ended_at,
                some.history_length,
            )


def _add_activity(unit: Unit, instance: InstanceRow, record: ActivityRecord) -> None:
    spec = record.spec
    body = ActivityBody(
        spec.arguments,
        spec.retry,
        spec.timeout,
        spec.total_timeout,
        spec.queue_timeout,
        spec.heartbeat_timeout,
        spec.headers,
    )
    row = ActivityRow(
        key=unit.keys.draw(unit.now),
        instance_key=instance.key,
        execution_number=instance.execution_number,
        number=spec.number,
        name=spec.name,
        queue=spec.queue,
        priority=spec.priority,
        scheduled_at=record.scheduled_at,
        due_at=record.due_at,
        expires_at=expires_at(record.scheduled_at, record.due_at, body),
        attempt=record.attempt,
        lost=record.lost,
        cancel_requested=int(record.cancel_requested),
        limited=int(spec.queue in unit.limits()),
        last_failure=None if record.last_failure is None else encode(record.last_failure),
        details=record.heartbeat_details,
        body=encode(body),
        decoded_body=body,
    )
    unit.add_activity(instance, row)


def _count_children(unit: Unit, row: InstanceRow) -> None:
    """`children` isn't exported: parents and their sub-workflows may come in any order."""
    unit.flush()
    row.children = unit.tables.count_children(row.instance_id, row.execution_id)
    unit.change(row, RESHAPED)
    if row.parent_id is None:
        return
    if unit.is_apart(row.parent_id):
        post_adoption(unit, row)
        return
    parent = unit.instance_by_id(row.parent_id)
    if parent is not None and parent.execution_id == row.parent_execution:
        parent.children += 1
        unit.change(parent, RESHAPED)
