"""What operators change besides instances' lives: blobs, settings, pruning, the seal, export and import."""

from __future__ import annotations

import heapq
from itertools import islice

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
from perdure.backends.memory.appending import remember
from perdure.backends.memory.creating import remove_instance
from perdure.backends.memory.reading import matching
from perdure.backends.memory.rows import ActivityRow, InstanceRow, PastExecution
from perdure.backends.memory.tables import Tables
from perdure.backends.memory.workers import give_leases_back
from perdure.clock import Micros
from perdure.errors import ConfigurationError, InstanceAlreadyExists, StoreCorrupt
from perdure.model.inspection import Ended, InstanceFilter, Pruned, QueueLimits, SettingKind
from perdure.model.instance import State
from perdure.model.task import PendingEvent


def put_blob(tables: Tables, instance_key: int, blob_id: bytes, data: bytes) -> None:
    if tables.blobs.setdefault(blob_id, (instance_key, data))[0] == instance_key:
        row = tables.instances.get(instance_key)
        if row is not None:
            row.blob_ids = {*row.blob_ids, blob_id}


def read_blob(tables: Tables, blob_id: bytes) -> bytes:
    found = tables.blobs.get(blob_id)
    if found is None:
        raise StoreCorrupt(f"there is no blob {blob_id.hex()}")
    return found[1]


def put_setting(tables: Tables, kind: SettingKind, name: str, value: bytes) -> None:
    if kind is SettingKind.QUEUE:
        try:
            limits = msgspec.json.decode(value, type=QueueLimits)
        except msgspec.MsgspecError as problem:
            raise ConfigurationError(f"the limits of queue {name!r} are no JSON QueueLimits: {problem}") from problem
        tables.queues[name].limits = limits
        tables.notify_queue(name)
    tables.settings[kind, name] = value


def delete_setting(tables: Tables, kind: SettingKind, name: str) -> bool:
    if tables.settings.pop((kind, name), None) is None:
        return False
    if kind is SettingKind.QUEUE:
        tables.queues[name].limits = tables.queues[name].bucket = None
        tables.notify_queue(name)
    return True


def prune(tables: Tables, where: InstanceFilter, after: Ended | None, limit: int) -> Pruned:
    ended = (Ended(row.ended_at, row.key) for row in matching(tables, where) if row.ended_at is not None)
    found = heapq.nsmallest(limit, (each for each in ended if after is None or each > after))
    for each in found:
        remove_instance(tables, tables.instances[each.key])
    return Pruned(removed=len(found), last=found[-1] if len(found) == limit else None)


def remove_expired(tables: Tables, now: Micros, limit: int) -> int:
    expired = list(islice(tables.removals.pop_due(now), limit))
    for key in expired:
        remove_instance(tables, tables.instances[key])
    return len(expired)


def seal(tables: Tables, target: str | None, now: Micros) -> None:
    """With the seal all leases end, so that no token of before holds after it is broken."""
    tables.sealed_for = target
    if target is None:
        return
    for worker in tables.workers.values():
        give_leases_back(tables, worker, now)
    for worker in tables.workers.values():
        tables.ring(worker.bell)


# --- export


def snapshot_of(tables: Tables, key: int) -> Snapshot | None:
    """All of an instance; None if it has gone meanwhile."""
    row = tables.instances.get(key)
    if row is None:
        return None
    return Snapshot(
        instance=_instance_record(row),
        executions=_execution_records(row),
        events=[
            EventsRecord(execution_id=execution_id, position=position, events=events)
            for execution_id, history in _histories(row)
            for position, events in history
        ],
        pending=[PendingRecord(id=some.id, event=some.event) for some in row.pending.values()],
        activities=[_activity_record(some) for _, some in sorted(row.activities.items())],
        published=[PublishedRecord(key=key, value=value) for key, value in row.published.items()],
        receipts=[ReceiptRecord(message_id=some, expires_at=until) for some, until in row.receipts.items()],
        blobs=[BlobRecord(blob_id=some, data=tables.blobs[some][1]) for some in sorted(row.blob_ids)],
    )


def _instance_record(row: InstanceRow) -> InstanceRecord:
    fields = {name: getattr(row, name) for name in InstanceRecord.__struct_fields__}
    return InstanceRecord(**{**fields, "tags": dict(row.tags)})


def _execution_records(row: InstanceRow) -> list[ExecutionRecord]:
    past = [
        ExecutionRecord(
            execution_id=some.execution_id,
            number=some.number,
            state=State.CONTINUED_AS_NEW,
            started_at=some.started_at,
            ended_at=some.ended_at,
            history_length=some.position,
        )
        for some in row.past
    ]
    current = ExecutionRecord(
        execution_id=row.execution_id,
        number=row.started.execution_number,
        state=row.state,
        started_at=row.started.at,
        ended_at=row.ended_at,
        history_length=row.position,
    )
    return [*past, current]


def _histories(row: InstanceRow) -> list[tuple[bytes, list[tuple[int, bytes]]]]:
    return [*((some.execution_id, some.history) for some in row.past), (row.execution_id, row.history)]


def _activity_record(row: ActivityRow) -> ActivityRecord:
    return ActivityRecord(
        spec=row.spec,
        attempt=row.attempt,
        lost=row.lost,
        scheduled_at=row.scheduled_at,
        due_at=row.due_at,
        last_failure=row.last_failure,
        heartbeat_details=row.heartbeat_details,
        cancel_requested=row.cancel_requested,
    )


# --- import


def import_snapshot(tables: Tables, snapshot: Snapshot, now: Micros) -> bool:
    record = snapshot.instance
    existing = tables.by_id.get(record.instance_id)
    if existing is not None:
        known = {existing.execution_id, *(some.execution_id for some in existing.past)}
        if record.execution_id in known:
            return False
        raise InstanceAlreadyExists(
            f"another instance has the id {record.instance_id!r} in the store that it is copied to", record.instance_id
        )
    row = _instance_row(tables, snapshot, now)
    tables.add_instance(row)
    for receipt in snapshot.receipts:
        remember(tables, row, receipt.message_id, receipt.expires_at)
    for blob in snapshot.blobs:
        put_blob(tables, row.key, blob.blob_id, blob.data)
    for activity in snapshot.activities:
        _add_activity(tables, row, activity, now)
    tables.place_instance(row, now)
    return True


def _instance_row(tables: Tables, snapshot: Snapshot, now: Micros) -> InstanceRow:
    histories: dict[bytes, list[tuple[int, bytes]]] = {}
    for events in snapshot.events:
        histories.setdefault(events.execution_id, []).append((events.position, events.events))
    record = snapshot.instance
    row = InstanceRow(
        key=tables.draw_instance_key(record.created_at, now),
        **{name: getattr(record, name) for name in record.__struct_fields__},
    )
    row.history = histories.get(record.execution_id, [])
    row.past = [
        PastExecution(
            execution_id=some.execution_id,
            number=some.number,
            started_at=some.started_at,
            ended_at=some.ended_at or some.started_at,
            position=some.history_length,
            history=histories.get(some.execution_id, []),
        )
        for some in snapshot.executions
        if some.execution_id != record.execution_id
    ]
    row.pending = {some.id: PendingEvent(some.id, some.event) for some in snapshot.pending}
    row.published = {some.key: some.value for some in snapshot.published}
    return row


def _add_activity(tables: Tables, row: InstanceRow, record: ActivityRecord, now: Micros) -> None:
    activity = ActivityRow(
        tables.keys.draw(now),
        row,
        row.execution_id,
        record.spec,
        scheduled_at=record.scheduled_at,
        due_at=record.due_at,
        attempt=record.attempt,
        lost=record.lost,
        cancel_requested=record.cancel_requested,
        last_failure=record.last_failure,
        heartbeat_details=record.heartbeat_details,
    )
    tables.add_activity(activity)
    tables.place_activity(activity, now)
