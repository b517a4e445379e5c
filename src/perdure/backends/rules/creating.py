"""The rows of new instances, and how instances are removed."""

from __future__ import annotations

import msgspec

from perdure.backends.beginnings import begun
from perdure.backends.endings import deadline_at
from perdure.backends.rows import STATES, InstanceRow, encode
from perdure.backends.unit.unit import Unit
from perdure.clock import Micros
from perdure.model.checkpoint import StartSubWorkflow
from perdure.model.event import ExecutionStarted
from perdure.model.instance import Parent
from perdure.model.transition import Administered, CreateInstance, NotRemoved, Remove

_encode_tags = msgspec.json.Encoder().encode


def insert(
    unit: Unit,
    start: CreateInstance | StartSubWorkflow,
    request_id: bytes,
    parent: Parent | None = None,
    key: int | None = None,
) -> InstanceRow:
    """The row of a new instance, whose id is free: due after its delay."""
    row = _row(unit, start, request_id, key)
    unit.begin_history(row, begun(start, unit.now))
    row.wake_at = unit.now + start.start_delay
    if isinstance(start, StartSubWorkflow) and parent is not None:
        row.parent_id, row.parent_execution, row.parent_number = parent.instance_id, parent.execution_id, parent.number
        row.parent_close = start.parent_close.value
    unit.add_instance(row)
    return row


def insert_begun(unit: Unit, start: CreateInstance, worker_key: int | None, created_at: Micros) -> InstanceRow:
    """The row of a new instance, whose id is free, and whose first step is taken already: in that worker's hands."""
    row = _row(unit, start, start.request_id, created_at=created_at)
    if worker_key is not None:
        row.worker, row.token = worker_key, unit.draw_token()
    unit.add_instance(row)
    return row


def _row(
    unit: Unit,
    start: CreateInstance | StartSubWorkflow,
    request_id: bytes,
    key: int | None = None,
    created_at: Micros | None = None,
) -> InstanceRow:
    now = unit.now
    created_at = now if created_at is None else created_at
    # By place: keywords would cost a struct of this size four times as much.
    row = InstanceRow(
        unit.keys.draw(now) if key is None else key,
        start.instance_id,
        start.execution_id,
        start.workflow,
        start.queue,
        start.priority,
        start.version,
        created_at,
        now,  # updated_at
        now,  # began_at
        None if start.timeout is None else deadline_at(created_at, start.start_delay, start.timeout),
        request_id,
        start.digest,
        None,  # wake_at
        _encode_tags(start.tags).decode() if start.tags else None,
        None,  # started
    )
    if start.retention is not None:
        row.retention = encode(start.retention)
    return row


def at_arrival(started: ExecutionStarted, now: int) -> ExecutionStarted:
    """The event with its time of arrival."""
    return msgspec.structs.replace(started, at=now)


def remove(unit: Unit, transition: Remove) -> Administered | NotRemoved:
    row = unit.instance_by_id(transition.instance_id)
    if row is None or row.is_running:
        return NotRemoved(None if row is None else STATES[row.state])
    unit.remove_instance(row)
    return Administered()
