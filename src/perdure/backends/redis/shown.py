"""Rows as operators see them."""

from __future__ import annotations

from datetime import datetime

import msgspec

from perdure.backends.rows import STATES, ActivityRow, InstanceRow, decode_failure, decode_outcome
from perdure.clock import Micros, to_datetime
from perdure.model.inspection import PendingActivity
from perdure.model.instance import Execution, Instance, Outcome, Stuck

_decode_tags = msgspec.json.Decoder(dict[str, str]).decode


def as_instance(row: InstanceRow, worker: str | None) -> Instance:
    stuck = None
    if row.stuck_reason is not None:
        stuck = Stuck(reason=row.stuck_reason, attempts=row.stuck_attempts, retry_at=as_datetime(row.wake_at))
    return Instance(
        instance_id=row.instance_id,
        execution_id=row.execution_id.hex(),
        execution_number=row.execution_number,
        workflow=row.workflow,
        queue=row.queue,
        state=STATES[row.state],
        created_at=to_datetime(row.created_at),
        updated_at=to_datetime(row.updated_at),
        ended_at=as_datetime(row.ended_at),
        priority=row.priority,
        tags={} if row.tags is None else _decode_tags(row.tags),
        version=row.version,
        deadline_at=as_datetime(row.deadline_at),
        parent=row.parent,
        history_length=row.position,
        history_bytes=row.history_bytes,
        suspended=bool(row.suspended),
        stuck=stuck,
        worker=worker,
        due_at=as_datetime(row.wake_at),
        remove_at=as_datetime(row.remove_at),
    )


def as_activity(row: ActivityRow, worker: str | None) -> PendingActivity:
    return PendingActivity(
        number=row.number,
        name=row.name,
        queue=row.queue,
        attempt=row.attempt,
        due_at=to_datetime(row.due_at),
        worker=worker,
        is_open=row.is_open,
        last_failure=decode_failure(row.last_failure),
        heartbeat_details=row.details,
        lost=row.lost,
    )


def as_execution(
    execution_id: bytes, number: int, state: int, started_at: Micros, ended_at: Micros | None, length: int
) -> Execution:
    return Execution(
        execution_id=execution_id.hex(),
        number=number,
        state=STATES[state],
        started_at=to_datetime(started_at),
        ended_at=as_datetime(ended_at),
        history_length=length,
    )


def outcome_of(row: InstanceRow) -> Outcome | None:
    """None while it runs."""
    if row.state == 0:
        return None
    stored = decode_outcome(row.outcome)
    return Outcome(
        instance_id=row.instance_id,
        workflow=row.workflow,
        state=STATES[row.state],
        result=stored.result,
        failure=stored.failure,
        reason=stored.reason,
    )


def as_datetime(at: Micros | None) -> datetime | None:
    return None if at is None else to_datetime(at)
