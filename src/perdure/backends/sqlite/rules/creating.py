"""How instances begin and are removed."""

from __future__ import annotations

import msgspec

from perdure.backends.beginnings import begun
from perdure.backends.endings import deadline_at, outcome_is_result
from perdure.backends.sqlite.rows import STATES, InstanceRow, encode
from perdure.backends.sqlite.rules.appending import append, arrived
from perdure.backends.sqlite.unit import Unit
from perdure.model.checkpoint import StartSubWorkflow
from perdure.model.event import ExecutionStarted
from perdure.model.instance import Parent
from perdure.model.options import IfExists
from perdure.model.transition import Administered, Created, CreateInstance, Existing, NotRemoved, Remove

_encode_tags = msgspec.json.Encoder().encode


def create_instance(unit: Unit, transition: CreateInstance) -> Created | Existing:
    row = unit.instance_by_id(transition.instance_id)
    if row is not None:
        if row.request_id == transition.request_id:
            return Created(instance_key=row.key, execution_id=row.execution_id)
        if not _makes_way(row, transition.if_exists):
            if transition.if_exists is IfExists.USE:
                _signal_existing(unit, row, transition)
            return _existing(row)
        unit.remove_instance(row)
    new = insert(unit, transition, transition.request_id)
    return Created(instance_key=new.key, execution_id=new.execution_id)


def insert(
    unit: Unit, start: CreateInstance | StartSubWorkflow, request_id: bytes, parent: Parent | None = None
) -> InstanceRow:
    """The row of a new instance, whose id is free."""
    now = unit.now
    started = begun(start, now)
    row = InstanceRow(
        key=unit.keys.draw(now),
        instance_id=start.instance_id,
        execution_id=start.execution_id,
        workflow=start.workflow,
        queue=start.queue,
        priority=start.priority,
        version=start.version,
        created_at=now,
        updated_at=now,
        began_at=now,
        deadline_at=deadline_at(now, start.start_delay, start.timeout),
        request_id=request_id,
        digest=start.digest,
        wake_at=now + start.start_delay,
        tags=_encode_tags(start.tags).decode() if start.tags else None,
        started=encode(started),
        started_event=started,
    )
    if isinstance(start, StartSubWorkflow) and parent is not None:
        row.parent_id, row.parent_execution, row.parent_number = parent.instance_id, parent.execution_id, parent.number
        row.parent_close = start.parent_close.value
    unit.add_instance(row)
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


def _makes_way(row: InstanceRow, if_exists: IfExists) -> bool:
    if row.is_running:
        return False
    if if_exists is IfExists.RESTART_FAILED:
        return not outcome_is_result(STATES[row.state])
    return if_exists is IfExists.RESTART


def _signal_existing(unit: Unit, row: InstanceRow, transition: CreateInstance) -> None:
    """Signal-with-start on an instance that is there; the request's id makes it once."""
    is_same = _created_as(row) == (transition.workflow, transition.digest)
    if not (transition.signals and row.is_running and is_same) or unit.has_seen(row, transition.request_id):
        return
    unit.remember(row, transition.request_id)
    for signal in transition.signals:
        append(unit, row, arrived(signal, unit.now))


def _existing(row: InstanceRow) -> Existing:
    workflow, digest = _created_as(row)
    return Existing(instance_id=row.instance_id, state=STATES[row.state], workflow=workflow, digest=digest)


def _created_as(row: InstanceRow) -> tuple[str, bytes]:
    return (
        row.workflow if row.created_workflow is None else row.created_workflow,
        row.digest if row.created_digest is None else row.created_digest,
    )
