"""Queues and workers: what waits, for how long, how fast it goes, and who is there."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from perdure.client.filters import Filters
from perdure.client.repeating import repeat
from perdure.diagnostics.look import Look
from perdure.diagnostics.views.instances import count
from perdure.model.inspection import QueueLimits, QueueStatus, WorkerStatus
from perdure.model.instance import State


class QueueRow(msgspec.Struct, frozen=True, kw_only=True):
    """A queue that has something on it, a limit, or a live worker."""

    queue: str
    workflow_tasks: int
    """Due and in nobody's hands."""
    activity_tasks: int
    running_activities: int
    oldest_due_at: datetime | None
    waits_seconds: float | None
    """For how long the oldest has been due."""
    is_paused: bool
    at_once: int | None
    """So many activities run at most; None is no limit."""
    per_second: float | None
    workflow_workers: tuple[str, ...]
    """Live ones that take its workflow tasks."""
    activity_workers: tuple[str, ...]
    problem: str
    """What keeps it from moving, in words: nobody serves it, or it is paused; else empty."""


class WorkerRow(msgspec.Struct, frozen=True, kw_only=True):
    """A worker that started and hasn't been forgotten yet."""

    worker: str
    started_at: datetime
    last_heartbeat_at: datetime
    silent_seconds: float
    is_alive: bool
    workflow_queues: tuple[str, ...]
    activity_queues: tuple[str, ...]
    instances: int
    """Leases on instances that it holds."""
    activities: int


class Throughput(msgspec.Struct, frozen=True, kw_only=True):
    """How many instances were created and have ended in the last while; those removed meanwhile aren't counted."""

    seconds: float
    created: int
    ended: int

    @property
    def ended_per_second(self) -> float:
        return self.ended / self.seconds


class QueuesPage(msgspec.Struct, frozen=True, kw_only=True):
    """All queues by name, all workers by start."""

    queues: tuple[QueueRow, ...]
    workers: tuple[WorkerRow, ...]
    now: datetime


async def read_queues(look: Look) -> QueuesPage:
    """As they stand now."""
    store = look.client.backend
    statuses = {each.queue: each for each in await repeat(store.list_queues)}
    workers = await repeat(store.list_workers)
    limits = await look.client.queues.limits()
    now = await look.now()
    live = [worker for worker in workers if worker.is_alive]
    served = {queue for worker in live for queue in (*worker.workflow_queues, *worker.activity_queues)}
    return QueuesPage(
        queues=tuple(
            _queue(statuses.get(name) or _empty(name), limits.get(name) or QueueLimits(), live, now)
            for name in sorted({*statuses, *limits, *served})
        ),
        workers=tuple(_worker(each, now) for each in workers),
        now=now,
    )


async def read_throughput(
    look: Look, *, over: timedelta = timedelta(minutes=5), queue: str | None = None
) -> Throughput:
    """Of all queues, or of the instances of one."""
    filters: Filters = {} if queue is None else {"queue": queue}
    since = await look.now() - over
    ended: Filters = {**filters, "states": [state for state in State if state.is_ended]}
    all_ended = await count(look, ended)
    earlier = await count(look, {**ended, "ended_to": since})
    created = await count(look, {**filters, "created_from": since})
    # Between the two counts some may have been removed that ended long ago.
    return Throughput(seconds=over.total_seconds(), created=created, ended=max(0, all_ended - earlier))


def _empty(queue: str) -> QueueStatus:
    return QueueStatus(queue=queue, workflow_tasks=0, activity_tasks=0, running_activities=0, oldest_due_at=None)


def _queue(status: QueueStatus, limits: QueueLimits, live: Sequence[WorkerStatus], now: datetime) -> QueueRow:
    oldest = status.oldest_due_at
    row = QueueRow(
        queue=status.queue,
        workflow_tasks=status.workflow_tasks,
        activity_tasks=status.activity_tasks,
        running_activities=status.running_activities,
        oldest_due_at=oldest,
        waits_seconds=None if oldest is None else max(0.0, (now - oldest).total_seconds()),
        is_paused=limits.paused,
        at_once=limits.at_once,
        per_second=limits.per_second,
        workflow_workers=tuple(each.worker for each in live if status.queue in each.workflow_queues),
        activity_workers=tuple(each.worker for each in live if status.queue in each.activity_queues),
        problem="",
    )
    return msgspec.structs.replace(row, problem=_problem(row))


def _problem(row: QueueRow) -> str:
    if row.workflow_tasks and not row.workflow_workers:
        return "no live worker takes its workflow tasks"
    if row.activity_tasks and not row.activity_workers:
        return "no live worker takes its activities"
    return "paused: none of its activities begins" if row.is_paused else ""


def _worker(status: WorkerStatus, now: datetime) -> WorkerRow:
    shared = {name: getattr(status, name) for name in status.__struct_fields__}
    return WorkerRow(**shared, silent_seconds=max(0.0, (now - status.last_heartbeat_at).total_seconds()))
