"""Claims: due work goes to a worker that asks, highest priority first, then the oldest instance.

`claim_nothing` looks without a write transaction, so that an idle worker's polling disturbs nobody.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator

import msgspec

from perdure.backends.admission import admit, next_permit_at
from perdure.backends.endings import LOSSES_OF_A_SUSPECT, may_take
from perdure.backends.rows import ActivityRow, InstanceRow
from perdure.backends.rules.handback import promote_activities
from perdure.backends.rules.leasing import free_permits, lease_activities, lease_instance
from perdure.backends.rules.queueing import promote_instances
from perdure.backends.unit.tables import Survey
from perdure.backends.unit.unit import Unit
from perdure.clock import Micros
from perdure.model.task import ActivityTask, WorkflowTask
from perdure.model.transition import Claimed, ClaimTasks

_FEW = 64  # looked at beyond what can be taken, for instances that turn out to be unreadable or suspect


def claim_tasks(unit: Unit, transition: ClaimTasks) -> Claimed:
    if unit.worker(transition.worker_key) is None:
        return Claimed(now=unit.now)
    unit.flush()
    survey = unit.tables.survey(transition, unit.now)
    workflow_tasks: tuple[WorkflowTask, ...] = ()
    activity_tasks: tuple[ActivityTask, ...] = ()
    has_left = False
    if survey.has_workflow_task and transition.workflow_slots > 0:
        workflow_tasks, has_left = _claim_workflow_tasks(unit, transition)
    if survey.has_activity and transition.activity_slots > 0:
        activity_tasks = _claim_activities(unit, transition)
    if (
        has_left
        or _is_cut_short(unit, transition.workflow_slots, len(workflow_tasks))
        or _is_cut_short(unit, transition.activity_slots, len(activity_tasks))
    ):
        survey = msgspec.structs.replace(survey, next_due_at=unit.now)
    return claimed(unit, transition, workflow_tasks, activity_tasks, survey)


def _is_cut_short(unit: Unit, asked: int, got: int) -> bool:
    """Whether there may be more, which conflicts kept the claim from taking."""
    return got == unit.claimable(asked) < asked


def claim_nothing(unit: Unit, transition: ClaimTasks, now: Micros) -> Claimed | None:
    """The outcome of a claim that finds nothing due; None if there is something. Outside any transaction."""
    unit.now = now
    if unit.worker(transition.worker_key) is None:
        return Claimed(now=now)
    survey = unit.tables.survey(transition, now)
    if transition.workflow_slots > 0 and survey.has_workflow_task:
        return None
    if transition.activity_slots > 0 and survey.has_activity:
        return None
    return claimed(unit, transition, (), (), survey)


def _claim_workflow_tasks(unit: Unit, transition: ClaimTasks) -> tuple[tuple[WorkflowTask, ...], bool]:
    """The tasks, and whether suspects were left for later."""
    slots = unit.claimable(transition.workflow_slots)
    suspects = _Suspects(unit, transition.worker_key)
    tasks: list[WorkflowTask] = []
    for row in _due_instances(unit, transition, slots):
        task = lease_instance(unit, transition.worker_key, row) if suspects.admit(row) else None
        if task is not None:
            tasks.append(task)
            if len(tasks) == slots:
                break
    return tuple(tasks), suspects.are_left


def _due_instances(unit: Unit, transition: ClaimTasks, slots: int) -> Iterator[InstanceRow]:
    """What the worker holds, and what nobody does, in the order of claims."""
    tables, now = unit.tables, unit.now
    held = tables.held_instances(transition.worker_key, now, slots)
    found = [held]
    unit.reread(key for _, key in held)
    for queue in dict.fromkeys(transition.workflow_queues):
        promote_instances(unit, queue)
        names, versions = transition.workflow_names, transition.versions
        found.append(tables.ready_instances(queue, names, versions, slots + _FEW, lock=True))
    unit.prefetch((), (key for places in found for _, key in places), ())
    for _, key in heapq.merge(*found):
        row = unit.instance(key)
        assert row is not None
        yield row


class _Suspects:
    """Those that may take their workers with them: a worker has few at a time."""

    def __init__(self, unit: Unit, worker_key: int) -> None:
        self._unit = unit
        self._worker_key = worker_key
        self._held: list[int] | None = None
        self.are_left = False

    def admit(self, row: InstanceRow) -> bool:
        if row.lost < LOSSES_OF_A_SUSPECT:
            return True
        if self._held is None:
            self._held = self._losses_of_held()
        if not may_take(row.lost, self._held):
            self.are_left = True
            return False
        self._held.append(row.lost)
        return True

    def _losses_of_held(self) -> list[int]:
        claimed = self._unit.tables.claimed_of_worker(self._worker_key)
        self._unit.prefetch((), claimed, ())
        rows = (self._unit.instance(key) for key in claimed)
        return [row.lost for row in rows if row is not None and row.lost >= LOSSES_OF_A_SUSPECT]


def _claim_activities(unit: Unit, transition: ClaimTasks) -> tuple[ActivityTask, ...]:
    queues = tuple(dict.fromkeys(transition.activity_queues))
    free = free_permits(unit, queues)
    slots = unit.claimable(transition.activity_slots)
    found: list[list[tuple[int, int, int, int]]] = []
    for queue in queues:
        permits = free.get(queue)
        most = slots if permits is None else min(permits, slots)
        if most > 0:
            promote_activities(unit, queue)
            names = transition.activity_names
            found.append(unit.tables.ready_activities(queue, names, most, lock=True))
    unit.prefetch((), (), [key for ranks in found for *_, key in ranks])
    candidates: list[ActivityRow] = []
    for *_, key in heapq.merge(*found):
        row = unit.activity(key)
        assert row is not None
        candidates.append(row)
    admitted = admit(candidates, slots=slots, permits=free)
    unit.heads.activities_moved()
    return lease_activities(unit, transition.worker_key, admitted)


def claimed(
    unit: Unit,
    transition: ClaimTasks,
    workflow_tasks: tuple[WorkflowTask, ...],
    activity_tasks: tuple[ActivityTask, ...],
    survey: Survey,
) -> Claimed:
    times = [_next_permit_at(unit, transition, queue) for queue in transition.activity_queues]
    return Claimed(
        workflow_tasks=workflow_tasks,
        activity_tasks=activity_tasks,
        next_due_at=min((at for at in (survey.next_due_at, *times) if at is not None), default=None),
        now=unit.now,
        told=(*survey.told, *((task.activity_key, task.token) for task in activity_tasks if task.cancel_requested)),
    )


def _next_permit_at(unit: Unit, transition: ClaimTasks, queue: str) -> Micros | None:
    """When a limited queue lets the next of those begin that wait on it."""
    limits = unit.limits().get(queue)
    if limits is None:
        return None
    at = next_permit_at(limits, running=unit.running(queue), bucket=unit.bucket(queue), now=unit.now)
    if at is None or at <= unit.now:
        return None
    unit.flush()
    return at if unit.tables.ready_activities(queue, transition.activity_names, 1) else None
