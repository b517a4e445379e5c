"""How instances begin and are removed."""

from __future__ import annotations

from perdure.backends.beginnings import begun
from perdure.backends.endings import MESSAGES_KEPT, deadline_at, outcome_is_result
from perdure.backends.memory.appending import append, arrived, has_seen, remember
from perdure.backends.memory.rows import InstanceRow
from perdure.backends.memory.tables import Tables
from perdure.clock import Micros
from perdure.model.checkpoint import StartSubWorkflow
from perdure.model.instance import Parent
from perdure.model.options import IfExists, ParentClose
from perdure.model.transition import Administered, Created, CreateInstance, Existing, NotRemoved, Remove


def create_instance(tables: Tables, transition: CreateInstance, now: Micros) -> Created | Existing:
    row = tables.by_id.get(transition.instance_id)
    if row is not None:
        if row.request_id == transition.request_id:
            return Created(instance_key=row.key, execution_id=row.execution_id)
        if not _makes_way(row, transition.if_exists):
            if transition.if_exists is IfExists.USE:
                _signal_existing(tables, row, transition, now)
            return _existing(row)
        remove_instance(tables, row)
    new = insert(tables, transition, now, parent=None)
    tables.place_instance(new, now)
    return Created(instance_key=new.key, execution_id=new.execution_id)


def insert(
    tables: Tables, start: CreateInstance | StartSubWorkflow, now: Micros, *, parent: Parent | None
) -> InstanceRow:
    """The row of a new instance, whose id is free; not placed in a line yet."""
    row = InstanceRow(
        key=tables.draw_instance_key(None, now),
        instance_id=start.instance_id,
        execution_id=start.execution_id,
        request_id=start.message_id if isinstance(start, StartSubWorkflow) else start.request_id,
        workflow=start.workflow,
        digest=start.digest,
        created_workflow=start.workflow,
        created_digest=start.digest,
        queue=start.queue,
        priority=start.priority,
        version=start.version,
        tags=start.tags,
        created_at=now,
        updated_at=now,
        deadline_at=deadline_at(now, start.start_delay, start.timeout),
        parent=parent,
        parent_close=start.parent_close if isinstance(start, StartSubWorkflow) else ParentClose.ABANDON,
        started=begun(start, now),
        wake_at=now + start.start_delay,
    )
    tables.add_instance(row)
    return row


def remove(tables: Tables, transition: Remove, now: Micros) -> Administered | NotRemoved:
    row = tables.by_id.get(transition.instance_id)
    if row is None or row.is_running:
        return NotRemoved(None if row is None else row.state)
    remove_instance(tables, row)
    return Administered()


def remove_instance(tables: Tables, row: InstanceRow) -> None:
    """Everything of an instance goes; who waits for its end learns that it is gone."""
    tables.remove_instance(row)
    tables.ring_end(row.instance_id)


def _makes_way(row: InstanceRow, if_exists: IfExists) -> bool:
    if row.is_running:
        return False
    if if_exists is IfExists.RESTART_FAILED:
        return not outcome_is_result(row.state)
    return if_exists is IfExists.RESTART


def _signal_existing(tables: Tables, row: InstanceRow, transition: CreateInstance, now: Micros) -> None:
    """Signal-with-start on an instance that is there; the request's id makes it once."""
    is_same = (row.created_workflow, row.created_digest) == (transition.workflow, transition.digest)
    if not (transition.signals and row.is_running and is_same) or has_seen(row, transition.request_id, now):
        return
    remember(tables, row, transition.request_id, now + MESSAGES_KEPT)
    for signal in transition.signals:
        append(tables, row, arrived(signal, now), now)


def _existing(row: InstanceRow) -> Existing:
    return Existing(
        instance_id=row.instance_id, state=row.state, workflow=row.created_workflow, digest=row.created_digest
    )
