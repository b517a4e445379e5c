"""Reads for operators: instances, histories, listings, queues and workers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

from perdure.backends.cursors import decode_cursor, encode_cursor
from perdure.backends.event_rows import decode_events
from perdure.backends.memory.rows import ActivityRow, InstanceRow, WorkerRow
from perdure.backends.memory.tables import Tables
from perdure.clock import Micros, to_datetime, to_micros
from perdure.errors import InstanceNotFound
from perdure.model.inspection import (
    HistoryEvent,
    InstanceFilter,
    Page,
    PendingActivity,
    QueueStatus,
    WorkerStatus,
)
from perdure.model.instance import Execution, Instance, State, Stuck


def find(tables: Tables, instance_id: str) -> InstanceRow:
    """Raises InstanceNotFound."""
    row = tables.by_id.get(instance_id)
    if row is None:
        raise InstanceNotFound(f"there is no instance {instance_id!r}", instance_id)
    return row


def instance_of(row: InstanceRow) -> Instance:
    stuck = None
    if row.stuck_reason is not None:
        stuck = Stuck(reason=row.stuck_reason, attempts=row.stuck_attempts, retry_at=_datetime(row.wake_at))
    return Instance(
        instance_id=row.instance_id,
        execution_id=row.execution_id.hex(),
        execution_number=row.started.execution_number,
        workflow=row.workflow,
        queue=row.queue,
        state=row.state,
        created_at=to_datetime(row.created_at),
        updated_at=to_datetime(row.updated_at),
        ended_at=_datetime(row.ended_at),
        priority=row.priority,
        tags=row.tags,
        version=row.version,
        deadline_at=_datetime(row.deadline_at),
        parent=row.parent,
        history_length=row.position,
        history_bytes=row.history_bytes,
        suspended=row.suspended,
        stuck=stuck,
        worker=None if row.worker is None else row.worker.start.name,
        due_at=_datetime(row.wake_at),
        remove_at=_datetime(row.remove_at),
    )


def executions_of(row: InstanceRow) -> list[Execution]:
    past = [
        Execution(
            execution_id=some.execution_id.hex(),
            number=some.number,
            state=State.CONTINUED_AS_NEW,
            started_at=to_datetime(some.started_at),
            ended_at=to_datetime(some.ended_at),
            history_length=some.position,
        )
        for some in row.past
    ]
    current = Execution(
        execution_id=row.execution_id.hex(),
        number=row.started.execution_number,
        state=row.state,
        started_at=to_datetime(row.started.at),
        ended_at=_datetime(row.ended_at),
        history_length=row.position,
    )
    return [*past, current]


def history_of(row: InstanceRow, execution_id: bytes) -> Sequence[tuple[int, bytes]]:
    """The rows of an execution's history; none of an execution that isn't of the chain."""
    if row.execution_id == execution_id:
        return tuple(row.history)
    return next((tuple(past.history) for past in row.past if past.execution_id == execution_id), ())


def events_of(history: Sequence[tuple[int, bytes]], *, after: int = -1, limit: int | None = None) -> list[HistoryEvent]:
    """Events over position `after`; decoded outside the lock."""
    events: list[HistoryEvent] = []
    for place, (position, encoded) in enumerate(history):
        if place + 1 < len(history) and history[place + 1][0] <= after + 1:
            continue
        events.extend(event for event in decode_events(position, encoded) if event.position > after)
        if limit is not None and len(events) >= limit:
            return events[:limit]
    return events


def activities_of(row: InstanceRow) -> list[PendingActivity]:
    return [_pending_activity(activity) for _, activity in sorted(row.activities.items())]


def _pending_activity(row: ActivityRow) -> PendingActivity:
    return PendingActivity(
        number=row.spec.number,
        name=row.spec.name,
        queue=row.queue,
        attempt=row.attempt,
        due_at=to_datetime(row.due_at),
        worker=None if row.worker is None else row.worker.start.name,
        is_open=row.is_open,
        last_failure=row.last_failure,
        heartbeat_details=row.heartbeat_details,
        lost=row.lost,
    )


# --- listings


def matching(tables: Tables, where: InstanceFilter) -> Iterator[InstanceRow]:
    """Instances that fulfil every condition, in no order."""
    tests = _tests(where)
    return (row for row in tables.instances.values() if all(test(row) for test in tests))


def _tests(where: InstanceFilter) -> list[Callable[[InstanceRow], bool]]:
    """One test for each condition that is given."""
    created_from, created_to = _micros(where.created_from), _micros(where.created_to)
    ended_to, updated_to = _micros(where.ended_to), _micros(where.updated_to)
    tests: list[tuple[object, Callable[[InstanceRow], bool]]] = [
        (where.states, lambda row: where.states is None or row.state in where.states),
        (where.workflow, lambda row: row.workflow == where.workflow),
        (where.queue, lambda row: row.queue == where.queue),
        (where.id_prefix, lambda row: row.instance_id.startswith(where.id_prefix or "")),
        (where.id_contains, lambda row: (where.id_contains or "") in row.instance_id),
        (where.version, lambda row: row.version == where.version),
        (created_from, lambda row: created_from is None or row.created_at >= created_from),
        (created_to, lambda row: created_to is None or row.created_at < created_to),
        (ended_to, lambda row: ended_to is None or (row.ended_at is not None and row.ended_at < ended_to)),
        (updated_to, lambda row: updated_to is None or row.updated_at < updated_to),
        (where.tags, lambda row: where.tags is None or where.tags.items() <= row.tags.items()),
        (
            where.parent_instance_id,
            lambda row: row.parent is not None and row.parent.instance_id == where.parent_instance_id,
        ),
        (where.stuck, lambda row: (row.stuck_reason is not None) is where.stuck),
        (where.suspended, lambda row: row.suspended is where.suspended),
    ]
    return [test for condition, test in tests if condition is not None]


def list_instances(tables: Tables, where: InstanceFilter, cursor: str | None, limit: int) -> Page[Instance]:
    below = None if cursor is None else decode_cursor(cursor)
    rows = [row for row in matching(tables, where) if below is None or row.key < below]
    rows.sort(key=lambda row: row.key, reverse=True)
    page = rows[:limit]
    following = encode_cursor(page[-1].key) if len(rows) > limit and page else None
    return Page(tuple(instance_of(row) for row in page), following)


def count_instances(tables: Tables, where: InstanceFilter) -> dict[State, int]:
    counts: dict[State, int] = {}
    for row in matching(tables, where):
        counts[row.state] = counts.get(row.state, 0) + 1
    return counts


def list_queues(tables: Tables, now: Micros) -> list[QueueStatus]:
    workflow_due: dict[str, list[Micros]] = {}
    activity_due: dict[str, list[Micros]] = {}
    for row in tables.instances.values():
        is_free = row.is_running and not row.suspended and row.worker is None
        if is_free and row.wake_at is not None and row.wake_at <= now:
            workflow_due.setdefault(row.queue, []).append(row.wake_at)
    for activity in tables.activities.values():
        if activity.token is None and not activity.instance.suspended and activity.due_at <= now:
            activity_due.setdefault(activity.queue, []).append(activity.due_at)
    running = {name: queue.running for name, queue in tables.queues.items() if queue.running}
    return [
        QueueStatus(
            queue=name,
            workflow_tasks=len(workflow_due.get(name, ())),
            activity_tasks=len(activity_due.get(name, ())),
            running_activities=running.get(name, 0),
            oldest_due_at=_datetime(min([*workflow_due.get(name, ()), *activity_due.get(name, ())], default=None)),
        )
        for name in sorted({*workflow_due, *activity_due, *running})
    ]


def list_workers(tables: Tables, now: Micros) -> list[WorkerStatus]:
    return [_worker_status(row, now) for row in sorted(tables.workers.values(), key=lambda row: row.key)]


def _worker_status(row: WorkerRow, now: Micros) -> WorkerStatus:
    return WorkerStatus(
        worker=row.start.name,
        started_at=to_datetime(row.started_at),
        last_heartbeat_at=to_datetime(row.beat_at),
        is_alive=not row.is_dead and row.lease_until > now,
        workflow_queues=row.start.workflow_queues,
        activity_queues=row.start.activity_queues,
        instances=len(row.instances),
        activities=len(row.activities),
    )


def _datetime(at: Micros | None) -> datetime | None:
    return None if at is None else to_datetime(at)


def _micros(at: datetime | None) -> Micros | None:
    return None if at is None else to_micros(at)
