"""How instances begin: by a request, which may bring the first step along."""

from __future__ import annotations

from perdure.backends.beginnings import created_at
from perdure.backends.endings import outcome_is_result
from perdure.backends.rows import STATES, InstanceRow
from perdure.backends.rules.appending import append, arrived
from perdure.backends.rules.checkpoints import write_checkpoint
from perdure.backends.rules.creating import insert, insert_begun
from perdure.backends.rules.queueing import may_begin
from perdure.backends.unit.unit import Unit
from perdure.model.options import IfExists
from perdure.model.transition import Created, CreateInstance, Existing, FirstStep


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
    step = transition.first_step
    if step is not None and (step.offer is None or may_begin(unit, step.offer.worker_key, transition)):
        return _take_step(unit, transition, step)
    new = insert(unit, transition, transition.request_id)
    return Created(instance_key=new.key, execution_id=new.execution_id)


def _take_step(unit: Unit, transition: CreateInstance, step: FirstStep) -> Created:
    is_held = step.checkpoint.closing is None and not step.release
    worker_key = step.offer.worker_key if is_held and step.offer is not None else None
    row = insert_begun(unit, transition, worker_key, created_at(step, unit.now))
    first = write_checkpoint(unit, row, step)
    return Created(instance_key=row.key, execution_id=transition.execution_id, token=row.token or 0, first=first)


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
