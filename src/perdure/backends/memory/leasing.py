"""Leases: how tasks get into a worker's hands, by claim or by hand-back, and what a task holds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from perdure.backends.admission import Rank, admit, next_permit_at, permits, take
from perdure.backends.endings import LOSSES_OF_A_SUSPECT, may_take
from perdure.backends.memory.lines import Line, in_order
from perdure.backends.memory.rows import ActivityRow, InstanceRow, WorkerRow
from perdure.backends.memory.tables import Tables
from perdure.clock import Micros
from perdure.model.task import ActivityTask, PendingEvent, WorkflowTask
from perdure.model.transition import Claimed, ClaimTasks, CreateInstance, Offer


def claim_tasks(tables: Tables, transition: ClaimTasks, now: Micros) -> Claimed:
    worker = alive(tables, transition.worker_key)
    if worker is None:
        return Claimed(now=now)
    worker.bell.is_rung = False
    served = _served_lines(tables, transition.workflow_queues, transition.workflow_names, transition.versions)
    instance_lines = [worker.held, *served]
    activity_lines = _activity_lines(tables, transition.activity_queues, transition.activity_names)
    for line in (*instance_lines, *activity_lines.values()):
        line.advance(now)
    workflow_tasks, has_left = _claim_workflow_tasks(tables, worker, instance_lines, transition.workflow_slots, now)
    activity_tasks = _claim_activities(tables, worker, activity_lines, transition.activity_slots, now)
    worker.next_due_at = now if has_left else _next_due_at(tables, instance_lines, activity_lines, transition, now)
    return Claimed(
        workflow_tasks=workflow_tasks,
        activity_tasks=activity_tasks,
        next_due_at=worker.next_due_at,
        now=now,
        told=tuple((row.key, row.token) for row in worker.told.values() if row.token is not None),
    )


def alive(tables: Tables, worker_key: int) -> WorkerRow | None:
    """The worker, unless it was marked dead, has gone, or takes nothing more."""
    worker = tables.workers.get(worker_key)
    return None if worker is None or worker.is_dead or worker.start.is_retired else worker


# --- workflow tasks


def _served_lines(
    tables: Tables, queues: Iterable[str], names: frozenset[str], versions: frozenset[str] | None
) -> list[Line]:
    return [
        line
        for queue in dict.fromkeys(queues)
        for (workflow, version), line in tables.instance_lines.get(queue, {}).items()
        if workflow in names and _accepts(versions, version)
    ]


def _accepts(versions: frozenset[str] | None, version: str | None) -> bool:
    return versions is None or version in versions


def _claim_workflow_tasks(
    tables: Tables, worker: WorkerRow, lines: Sequence[Line], slots: int, now: Micros
) -> tuple[tuple[WorkflowTask, ...], bool]:
    """The tasks, and whether suspects were left for later."""
    if slots <= 0:
        return (), False
    tasks: list[WorkflowTask] = []
    left: list[InstanceRow] = []
    for key in in_order(lines):
        row = tables.instances[key]
        if _is_suspect(row) and not may_take(row.lost, _losses_of_suspects(worker)):
            left.append(row)
            continue
        tasks.append(lease_instance(tables, worker, row, now))
        if len(tasks) == slots:
            break
    for row in left:
        tables.place_instance(row, now)
    return tuple(tasks), bool(left)


def _losses_of_suspects(worker: WorkerRow) -> list[int]:
    return [row.lost for row in worker.instances.values() if row.claimed and _is_suspect(row)]


def _is_suspect(row: InstanceRow) -> bool:
    return row.lost >= LOSSES_OF_A_SUSPECT


def may_begin(tables: Tables, worker: WorkerRow, start: CreateInstance, now: Micros) -> bool:
    """Whether the worker's next claim would bring the new instance before all others.

    What the worker itself holds stands on no queue: it goes on whoever begins.
    """
    settings = worker.start
    if start.start_delay > 0 or not settings.serves(start.queue, start.workflow, start.version):
        return False
    for line in _served_lines(tables, settings.workflow_queues, settings.workflow_names, settings.versions):
        if not len(line):
            continue
        line.advance(now)
        first = line.first()
        # Whoever is there already is older.
        if first is not None and first[0][0] <= -start.priority:
            return False
    return True


def lease_instance(tables: Tables, worker: WorkerRow, row: InstanceRow, now: Micros) -> WorkflowTask:
    """Hand the instance's workflow task out. A worker that holds the instance already keeps its token."""
    if row.worker is None:
        hold_instance(tables, worker, row)
    row.claimed = True
    tables.place_instance(row, now)
    assert row.token is not None
    return WorkflowTask(
        instance_key=row.key,
        instance_id=row.instance_id,
        execution_id=row.execution_id,
        workflow=row.workflow,
        queue=row.queue,
        priority=row.priority,
        version=row.version,
        parent=row.parent,
        token=row.token,
        position=row.position,
        history_bytes=row.history_bytes,
        now=now,
        pending=_pending(row),
        created_at=row.created_at,
        deadline_at=row.deadline_at,
        stuck_attempts=row.stuck_attempts,
    )


def hold_instance(tables: Tables, worker: WorkerRow, row: InstanceRow) -> None:
    """Lease an instance that nobody holds."""
    row.token = tables.random_token()
    row.worker = worker
    worker.instances[row.key] = row


def _pending(row: InstanceRow) -> tuple[PendingEvent, ...]:
    if row.is_fresh:
        return (PendingEvent(0, row.started), *row.pending.values())
    return tuple(row.pending.values())


def hand_back_workflow_task(tables: Tables, offer: Offer | None, row: InstanceRow, now: Micros) -> WorkflowTask | None:
    """The instance's next workflow task, if it is due and the committing worker may have it."""
    if offer is None or not offer.workflow_task or not row.is_running or row.suspended or row.claimed:
        return None
    if _is_suspect(row):
        return None
    worker = alive(tables, offer.worker_key)
    if worker is None or row.wake_at is None or row.wake_at > now:
        return None
    if row.worker is None and not worker.start.serves(row.queue, row.workflow, row.version):
        return None
    if row.worker is not None and row.worker is not worker:
        return None
    return lease_instance(tables, worker, row, now)


def hand_back_or_place(tables: Tables, offer: Offer | None, row: InstanceRow, now: Micros) -> WorkflowTask | None:
    """The same; an instance that doesn't come back gets its place, where others find it."""
    task = hand_back_workflow_task(tables, offer, row, now)
    if task is None:
        tables.place_instance(row, now)
    return task


# --- activity tasks


def _activity_lines(tables: Tables, queues: Iterable[str], names: frozenset[str]) -> dict[tuple[str, str], Line]:
    return {
        (queue, name): line
        for queue in dict.fromkeys(queues)
        for name, line in tables.activity_lines.get(queue, {}).items()
        if name in names
    }


def _permits(tables: Tables, queues: Iterable[str], now: Micros) -> dict[str, int | None]:
    limited: dict[str, int | None] = {}
    for name in queues:
        queue = tables.queues.get(name)
        if queue is not None and queue.limits is not None:
            limited[name] = permits(queue.limits, running=queue.running, bucket=queue.bucket, now=now)
    return limited


def _claim_activities(
    tables: Tables, worker: WorkerRow, lines: dict[tuple[str, str], Line], slots: int, now: Micros
) -> tuple[ActivityTask, ...]:
    if slots <= 0:
        return ()
    free = _permits(tables, {queue for queue, _ in lines}, now)
    waiting = _waiting(tables, lines, dict(free))
    return lease_activities(tables, worker, admit(waiting, slots=slots, permits=free), now)


def _waiting(tables: Tables, lines: dict[tuple[str, str], Line], left: dict[str, int | None]) -> Iterator[ActivityRow]:
    """Those in line, by rank. A queue without permits left isn't looked at, however many wait there."""
    limited = {queue for queue, free in left.items() if free is not None}
    by_queue: dict[str, list[Line]] = {}
    for (queue, _), line in lines.items():
        by_queue.setdefault(queue if queue in limited else "", []).append(line)
    candidates = [_up_to(in_order(some), left.get(queue) if queue else None) for queue, some in by_queue.items()]
    if len(candidates) == 1:
        for key in candidates[0]:
            yield tables.activities[key]
        return
    yield from _merged(tables, candidates)


def _up_to(keys: Iterator[int], limit: int | None) -> Iterator[int]:
    count = 0
    while limit is None or count < limit:
        key = next(keys, None)
        if key is None:
            return
        yield key
        count += 1


def _merged(tables: Tables, candidates: list[Iterator[int]]) -> Iterator[ActivityRow]:
    """As heapq.merge does, but one that nobody took stays where it is."""
    heads: list[tuple[Rank, ActivityRow, Iterator[int]]] = []
    for keys in candidates:
        key = next(keys, None)
        if key is not None:
            row = tables.activities[key]
            heads.append((row.rank, row, keys))
    while heads:
        head = min(heads, key=lambda some: some[0])
        yield head[1]
        heads.remove(head)
        key = next(head[2], None)
        if key is not None:
            row = tables.activities[key]
            heads.append((row.rank, row, head[2]))


def lease_activities(
    tables: Tables, worker: WorkerRow, rows: Sequence[ActivityRow], now: Micros
) -> tuple[ActivityTask, ...]:
    """Lease what was admitted, and pay for it out of the queues' buckets."""
    tasks: list[ActivityTask] = []
    for row in rows:
        queue = tables.queues[row.queue]
        queue.running += 1
        if queue.limits is not None and queue.limits.per_second is not None:
            queue.bucket = take(queue.limits, queue.bucket, now, 1)
        row.worker = worker
        row.token = tables.random_token()
        worker.activities[row.key] = row
        if row.cancel_requested:
            worker.told[row.key] = row
        tables.place_activity(row, now)
        tasks.append(_activity_task(row, row.token, now))
    return tuple(tasks)


def hand_back_activities(
    tables: Tables, offer: Offer | None, new: Sequence[ActivityRow], now: Micros
) -> tuple[ActivityTask, ...]:
    """Lease of `new`, which are due and in no line yet, what the committing worker may have."""
    if not new or offer is None or offer.activities <= 0:
        return ()
    worker = alive(tables, offer.worker_key)
    if worker is None:
        return ()
    candidates = [row for row in new if row.queue in offer.activity_queues and row.spec.name in offer.activity_names]
    if not candidates:
        return ()
    if len(candidates) > 1:
        candidates.sort(key=lambda row: row.rank)
    free = _permits(tables, offer.activity_queues, now)
    ahead = _first_rank(tables, offer, free, now)
    return lease_activities(tables, worker, admit(candidates, slots=offer.activities, permits=free, ahead=ahead), now)


def _first_rank(tables: Tables, offer: Offer, free: dict[str, int | None], now: Micros) -> Rank | None:
    """Of those that wait and could be leased to who offers."""
    first: Rank | None = None
    for queue in offer.activity_queues:
        if free.get(queue) == 0:
            continue
        for name, line in tables.activity_lines.get(queue, {}).items():
            if name not in offer.activity_names or not len(line):
                continue
            line.advance(now)
            head = line.first()
            if head is not None and (first is None or head[0] < first):
                first = head[0]
    return first


def _activity_task(row: ActivityRow, token: int, now: Micros) -> ActivityTask:
    spec, instance = row.spec, row.instance
    return ActivityTask(
        activity_key=row.key,
        token=token,
        instance_key=instance.key,
        instance_id=instance.instance_id,
        execution_id=row.execution_id,
        workflow=instance.workflow,
        number=spec.number,
        name=spec.name,
        arguments=spec.arguments,
        queue=spec.queue,
        priority=spec.priority,
        attempt=row.attempt,
        retry=spec.retry,
        scheduled_at=row.scheduled_at,
        now=now,
        timeout=spec.timeout,
        total_deadline_at=row.total_deadline_at,
        heartbeat_timeout=spec.heartbeat_timeout,
        heartbeat_details=row.heartbeat_details,
        last_failure=row.last_failure,
        headers=spec.headers,
        cancel_requested=row.cancel_requested,
    )


# --- when to come again


def _next_due_at(
    tables: Tables,
    instance_lines: Sequence[Line],
    activity_lines: dict[tuple[str, str], Line],
    transition: ClaimTasks,
    now: Micros,
) -> Micros | None:
    times: list[Micros | None] = []
    times.extend(line.next_due_at() for line in instance_lines)
    times.extend(line.next_due_at() for line in activity_lines.values())
    times.extend(
        _next_permit_at(tables, queue, now) for (queue, _), line in activity_lines.items() if line.first() is not None
    )
    return min((at for at in times if at is not None), default=None)


def _next_permit_at(tables: Tables, name: str, now: Micros) -> Micros | None:
    queue = tables.queues.get(name)
    if queue is None or queue.limits is None:
        return None
    at = next_permit_at(queue.limits, running=queue.running, bucket=queue.bucket, now=now)
    return None if at is None or at <= now else at
