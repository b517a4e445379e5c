"""How instances begin: by a request, which may bring the first step along."""

from __future__ import annotations

from perdure.backends.beginnings import created_at
from perdure.backends.endings import MESSAGES_KEPT, outcome_is_result
from perdure.backends.event_rows import encode_events
from perdure.backends.memory.appending import append, arrived, has_seen, remember
from perdure.backends.memory.checkpoints import write_checkpoint
from perdure.backends.memory.creating import insert, remove_instance
from perdure.backends.memory.leasing import alive, hold_instance, may_begin
from perdure.backends.memory.rows import InstanceRow, WorkerRow
from perdure.backends.memory.tables import Tables
from perdure.clock import Micros
from perdure.model.options import IfExists
from perdure.model.transition import Created, CreateInstance, Existing, FirstStep


def create_instance(tables: Tables, transition: CreateInstance, now: Micros) -> Created | Existing:
    row = tables.by_id.get(transition.instance_id)
    if row is not None:
        if row.request_id == transition.request_id:
            return Created(instance_key=row.key, execution_id=row.execution_id)
        if not _makes_way(row, transition.if_exists):
            if transition.if_exists is IfExists.USE:
                _signal_existing(tables, row, transition, now)
            return _existing(row)
    step = transition.first_step
    worker = None if step is None or step.offer is None else alive(tables, step.offer.worker_key)
    is_taken = step is not None and (
        step.offer is None or (worker is not None and may_begin(tables, worker, transition, now))
    )
    if step is None or not is_taken:
        new = _begin(tables, row, transition, now)
        tables.place_instance(new, now)
        return Created(instance_key=new.key, execution_id=new.execution_id)
    encoded = encode_events(step.checkpoint.events)  # the last thing that can fail
    new = _begin(tables, row, transition, now, created_at(step, now))
    return _take_step(tables, new, worker, step, encoded, now)


def _begin(
    tables: Tables,
    former: InstanceRow | None,
    transition: CreateInstance,
    now: Micros,
    began_at: Micros | None = None,
) -> InstanceRow:
    if former is not None:
        remove_instance(tables, former)
    return insert(tables, transition, now, parent=None, created_at=began_at)


def _take_step(
    tables: Tables, row: InstanceRow, worker: WorkerRow | None, step: FirstStep, encoded: bytes, now: Micros
) -> Created:
    execution_id = row.execution_id
    if worker is not None and step.checkpoint.closing is None and not step.release:
        hold_instance(tables, worker, row)
    first = write_checkpoint(tables, row, step, encoded, now)
    return Created(instance_key=row.key, execution_id=execution_id, token=row.token or 0, first=first)


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
