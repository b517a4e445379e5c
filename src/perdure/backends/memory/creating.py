"""The rows of new instances, and how instances are removed."""

from __future__ import annotations

from perdure.backends.beginnings import begun
from perdure.backends.endings import deadline_at
from perdure.backends.memory.rows import NOTHING, InstanceRow
from perdure.backends.memory.tables import Tables
from perdure.clock import Micros
from perdure.model.checkpoint import StartSubWorkflow
from perdure.model.instance import Parent
from perdure.model.options import ParentClose
from perdure.model.transition import Administered, CreateInstance, NotRemoved, Remove


def insert(
    tables: Tables,
    start: CreateInstance | StartSubWorkflow,
    now: Micros,
    *,
    parent: Parent | None,
    created_at: Micros | None = None,
) -> InstanceRow:
    """The row of a new instance, whose id is free; not placed in a line yet."""
    created_at = now if created_at is None else created_at
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
        tags=start.tags or NOTHING,
        created_at=created_at,
        updated_at=now,
        deadline_at=deadline_at(created_at, start.start_delay, start.timeout),
        parent=parent,
        parent_close=start.parent_close if isinstance(start, StartSubWorkflow) else ParentClose.ABANDON,
        started=begun(start, now),
        wake_at=now + start.start_delay,
        retention=start.retention,
    )
    row.started = tables.lightened(row, row.started)
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
