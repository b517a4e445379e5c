"""Leases: how a row becomes a task in a worker's hands, and what becomes of rows that can't be read."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from perdure.backends.admission import Bucket, permits, take
from perdure.backends.rows import LEASED, ActivityRow, InstanceRow
from perdure.backends.rules.stuck import stick
from perdure.backends.unit.unit import Unit
from perdure.clock import Micros
from perdure.errors import StoreCorrupt
from perdure.model.task import ActivityTask, WorkflowTask
from perdure.observability.advice import advice_for
from perdure.observability.logging import instance_fields

_log = logging.getLogger("perdure.store")

_FIRST_RETRY: Micros = 1_000_000
_LONGEST_RETRY: Micros = 300_000_000
_FULL = 1e18  # however much a later limit lets a bucket hold


def lease_instance(unit: Unit, worker_key: int, row: InstanceRow) -> WorkflowTask | None:
    """Hand the instance's workflow task out. A worker that holds the instance already keeps its token.

    None if what is stored of it can't be read: the instance is stuck then, and harms nobody else (E4).
    """
    try:
        pending = (*row.first_pending(), *unit.pending_of(row))
    except StoreCorrupt as problem:
        _stick(unit, row, problem)
        return None
    if row.worker is None:
        row.token, row.worker = unit.draw_token(), worker_key
    row.claimed = 1
    unit.change(row, LEASED)
    return row.as_task(unit.now, pending)


def lease_activities(unit: Unit, worker_key: int, rows: Sequence[ActivityRow]) -> tuple[ActivityTask, ...]:
    """Lease what was admitted, and pay for it out of the queues' buckets.

    A bucket is written for each limited queue, whatever its limits: where many write at once, two who count the same leases
    must not both add to them.
    """
    tasks: list[ActivityTask] = []
    begun: dict[str, int] = {}
    for row in rows:
        task = _lease_activity(unit, worker_key, row)
        if task is None:
            continue
        tasks.append(task)
        if row.limited:
            begun[row.queue] = begun.get(row.queue, 0) + 1
    for queue, count in begun.items():
        limits = unit.limits().get(queue)
        if limits is None:
            continue
        bucket = unit.bucket(queue)
        if limits.per_second is not None:
            bucket = take(limits, bucket, unit.now, count)
        unit.put_bucket(queue, bucket or Bucket(_FULL, unit.now))
    return tuple(tasks)


def free_permits(unit: Unit, queues: Sequence[str]) -> dict[str, int | None]:
    """How many activities of each limited queue may begin now."""
    all_limits = unit.limits()
    if not all_limits:
        return {}
    return {
        queue: permits(limits, running=unit.running(queue), bucket=unit.bucket(queue), now=unit.now)
        for queue in queues
        if (limits := all_limits.get(queue)) is not None
    }


def _lease_activity(unit: Unit, worker_key: int, row: ActivityRow) -> ActivityTask | None:
    instance = unit.instance(row.instance_key)
    if instance is None:  # a row that somebody else's hands have left behind
        unit.remove_activity(row)
        return None
    token = unit.draw_token()
    try:
        task = row.as_task(instance, token, unit.now)
    except StoreCorrupt as problem:
        row.due_at = unit.now + _LONGEST_RETRY
        unit.change_activity(row)
        _stick(unit, instance, problem)
        return None
    unit.lease_activity(row, worker_key, token)
    return task


def _stick(unit: Unit, row: InstanceRow, problem: StoreCorrupt) -> None:
    reason = f"StoreCorrupt: {problem}"
    if not row.stuck_attempts:  # nobody else hears of it
        extra = {**instance_fields(row.instance_id, row.execution_id, row.workflow, row.queue), "stuck": "StoreCorrupt"}
        _log.error(
            "%s is stuck: %s. %s", row.instance_id, problem, advice_for(reason, row.instance_id).text, extra=extra
        )
    delay = min(_FIRST_RETRY << min(row.stuck_attempts, 16), _LONGEST_RETRY)
    stick(unit, row, reason, unit.now + delay)
