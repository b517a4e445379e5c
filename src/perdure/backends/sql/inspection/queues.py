"""Queues and workers."""

from __future__ import annotations

import msgspec

from perdure.backends.protocol import WorkerStart
from perdure.backends.sql.inspection.instances import as_datetime
from perdure.backends.sql.session import Session
from perdure.clock import Micros, to_datetime
from perdure.model.inspection import QueueStatus, WorkerStatus

_decode_start = msgspec.msgpack.Decoder(WorkerStart).decode

_WORKFLOW_TASKS = """select queue, count(*), min(wake_at) from (
        select queue, wake_at from perdure_instances where phase = 1
        union all select queue, wake_at from perdure_instances where phase = 2 and wake_at <= ?
    ) waiting group by queue"""
_ACTIVITY_TASKS = """select queue, count(*), min(due_at) from (
        select queue, due_at from perdure_activities where phase = 1
        union all select queue, due_at from perdure_activities where phase = 2 and due_at <= ?
    ) waiting group by queue"""
_RUNNING = "select queue, count(*) from perdure_activities where worker is not null group by queue"
_HELD = "select worker, count(*) from perdure_instances where ended_at is null and worker is not null group by worker"
_RUN = "select worker, count(*) from perdure_activities where worker is not null group by worker"


def list_queues(session: Session, now: Micros) -> list[QueueStatus]:
    """By name."""
    workflow = {queue: (count, at) for queue, count, at in session.execute(_WORKFLOW_TASKS, (now,)).fetchall()}
    activity = {queue: (count, at) for queue, count, at in session.execute(_ACTIVITY_TASKS, (now,)).fetchall()}
    running: dict[str, int] = dict(session.execute(_RUNNING).fetchall())
    return [
        QueueStatus(
            queue=name,
            workflow_tasks=workflow.get(name, (0, None))[0],
            activity_tasks=activity.get(name, (0, None))[0],
            running_activities=running.get(name, 0),
            oldest_due_at=as_datetime(
                min((some[name][1] for some in (workflow, activity) if name in some), default=None)
            ),
        )
        for name in sorted({*workflow, *activity, *running})
    ]


def list_workers(session: Session, now: Micros) -> list[WorkerStatus]:
    """By start."""
    held: dict[int, int] = dict(session.execute(_HELD).fetchall())
    running: dict[int, int] = dict(session.execute(_RUN).fetchall())
    found = session.execute(
        "select key, start, started_at, heartbeat_at, is_alive, lease_until from perdure_workers order by key"
    ).fetchall()
    return [
        _status(
            _decode_start(start),
            started_at,
            heartbeat_at,
            is_alive and lease_until > now,
            held.get(key, 0),
            running.get(key, 0),
        )
        for key, start, started_at, heartbeat_at, is_alive, lease_until in found
    ]


def _status(
    start: WorkerStart, started_at: Micros, heartbeat_at: Micros, is_alive: bool, instances: int, activities: int
) -> WorkerStatus:
    return WorkerStatus(
        worker=start.name,
        started_at=to_datetime(started_at),
        last_heartbeat_at=to_datetime(heartbeat_at),
        is_alive=bool(is_alive),
        workflow_queues=start.workflow_queues,
        activity_queues=start.activity_queues,
        instances=instances,
        activities=activities,
    )


def read_start(session: Session, worker_key: int) -> WorkerStart | None:
    """What a worker serves; None if nobody knows it."""
    found = session.execute("select start from perdure_workers where key = ?", (worker_key,)).fetchone()
    return None if found is None else _decode_start(found[0])


def list_settings(session: Session, kind: str) -> dict[str, bytes]:
    """By name."""
    found = session.execute("select name, value from perdure_settings where kind = ? order by name", (kind,))
    return dict(found.fetchall())


def read_blob(session: Session, blob_id: bytes) -> bytes | None:
    found = session.execute("select data from perdure_blobs where id = ?", (blob_id,)).fetchone()
    return None if found is None else found[0]
