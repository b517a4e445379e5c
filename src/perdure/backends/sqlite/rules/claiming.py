"""Claims: due work goes to a worker that asks, highest priority first, then the oldest instance.

`has_work` looks without a write transaction, so that an idle worker's polling disturbs nobody.
"""

from __future__ import annotations

import heapq
import sqlite3

from perdure.backends.admission import admit, next_permit_at
from perdure.backends.sqlite import statements as sql
from perdure.backends.sqlite.rows import ActivityRow
from perdure.backends.sqlite.rules.handback import promote_activities
from perdure.backends.sqlite.rules.leasing import free_permits, lease_activities, lease_instance
from perdure.backends.sqlite.rules.queueing import promote_instances
from perdure.backends.sqlite.unit import Unit, as_json
from perdure.clock import Micros
from perdure.model.task import ActivityTask, WorkflowTask
from perdure.model.transition import Claimed, ClaimTasks

_FEW = 64  # looked at beyond what can be admitted, for rows that turn out to be unreadable


def claim_tasks(unit: Unit, transition: ClaimTasks) -> Claimed:
    if unit.worker(transition.worker_key) is None:
        return Claimed(now=unit.now)
    unit.flush()
    workflow_tasks = _claim_workflow_tasks(unit, transition) if transition.workflow_slots > 0 else ()
    activity_tasks = _claim_activities(unit, transition) if transition.activity_slots > 0 else ()
    unit.flush()
    return _claimed(unit, transition, workflow_tasks, activity_tasks)


def claim_nothing(unit: Unit, transition: ClaimTasks, now: Micros) -> Claimed | None:
    """The outcome of a claim that finds nothing due; None if there is something. Outside any transaction."""
    unit.now = now
    if unit.worker(transition.worker_key) is None:
        return Claimed(now=now)
    connection = unit.connection
    if transition.workflow_slots > 0 and _has_workflow_task(connection, transition, now):
        return None
    if transition.activity_slots > 0 and _has_activity(connection, transition, now):
        return None
    return _claimed(unit, transition, (), ())


def _has_workflow_task(connection: sqlite3.Connection, transition: ClaimTasks, now: Micros) -> bool:
    if connection.execute(sql.HELD_INSTANCES, (transition.worker_key, now, 1)).fetchone() is not None:
        return True
    names, versions = _names(transition.workflow_names), _versions(transition)
    return any(
        connection.execute(sql.READY_INSTANCES, (queue, names, *versions, 1)).fetchone() is not None
        or connection.execute(sql.IS_INSTANCE_DUE, (queue, now)).fetchone() is not None
        for queue in transition.workflow_queues
    )


def _has_activity(connection: sqlite3.Connection, transition: ClaimTasks, now: Micros) -> bool:
    names = _names(transition.activity_names)
    return any(
        connection.execute(sql.READY_ACTIVITIES, (queue, names, 1)).fetchone() is not None
        or connection.execute(sql.IS_ACTIVITY_DUE, (queue, now)).fetchone() is not None
        for queue in transition.activity_queues
    )


def _claim_workflow_tasks(unit: Unit, transition: ClaimTasks) -> tuple[WorkflowTask, ...]:
    connection, slots, now = unit.connection, transition.workflow_slots, unit.now
    names, versions = _names(transition.workflow_names), _versions(transition)
    found: list[list[tuple[int, int]]] = [
        connection.execute(sql.HELD_INSTANCES, (transition.worker_key, now, slots)).fetchall()
    ]
    for queue in dict.fromkeys(transition.workflow_queues):
        promote_instances(unit, queue)
        found.append(connection.execute(sql.READY_INSTANCES, (queue, names, *versions, slots + _FEW)).fetchall())
    tasks: list[WorkflowTask] = []
    for _, key in heapq.merge(*found):
        row = unit.instance(key)
        assert row is not None
        task = lease_instance(unit, transition.worker_key, row)
        if task is not None:
            tasks.append(task)
            if len(tasks) == slots:
                break
    return tuple(tasks)


def _claim_activities(unit: Unit, transition: ClaimTasks) -> tuple[ActivityTask, ...]:
    queues = tuple(dict.fromkeys(transition.activity_queues))
    free = free_permits(unit, queues)
    names = _names(transition.activity_names)
    found: list[list[tuple[int, int, int, int]]] = []
    for queue in queues:
        permits = free.get(queue)
        most = transition.activity_slots if permits is None else min(permits, transition.activity_slots)
        if most > 0:
            promote_activities(unit, queue)
            found.append(unit.connection.execute(sql.READY_ACTIVITIES, (queue, names, most + _FEW)).fetchall())
    candidates: list[ActivityRow] = []
    for *_, key in heapq.merge(*found):
        row = unit.activity(key)
        assert row is not None
        candidates.append(row)
    admitted = admit(candidates, slots=transition.activity_slots, permits=free)
    unit.heads.activities.clear()
    return lease_activities(unit, transition.worker_key, admitted)


def _claimed(
    unit: Unit,
    transition: ClaimTasks,
    workflow_tasks: tuple[WorkflowTask, ...],
    activity_tasks: tuple[ActivityTask, ...],
) -> Claimed:
    return Claimed(
        workflow_tasks=workflow_tasks,
        activity_tasks=activity_tasks,
        next_due_at=_next_due_at(unit, transition),
        now=unit.now,
        told=tuple(unit.connection.execute(sql.TOLD_ACTIVITIES, (transition.worker_key,)).fetchall()),
    )


def _next_due_at(unit: Unit, transition: ClaimTasks) -> Micros | None:
    """When something that waits for its moment will be claimable."""
    execute, now = unit.connection.execute, unit.now
    names, versions = _names(transition.workflow_names), _versions(transition)
    activity_names = _names(transition.activity_names)
    found = [
        execute(sql.NEXT_HELD_DUE, (transition.worker_key, now)).fetchone(),
        *(
            execute(sql.NEXT_INSTANCE_DUE, (queue, now, names, *versions)).fetchone()
            for queue in transition.workflow_queues
        ),
        *(
            execute(sql.NEXT_ACTIVITY_DUE, (queue, now, activity_names)).fetchone()
            for queue in transition.activity_queues
        ),
    ]
    times = [row[0] for row in found if row is not None]
    permits = (_next_permit_at(unit, queue, activity_names) for queue in transition.activity_queues)
    times.extend(at for at in permits if at is not None)
    return min(times, default=None)


def _next_permit_at(unit: Unit, queue: str, names: str) -> Micros | None:
    limits = unit.limits().get(queue)
    if limits is None:
        return None
    at = next_permit_at(limits, running=unit.running(queue), bucket=unit.bucket(queue), now=unit.now)
    if at is None or at <= unit.now:
        return None
    return at if unit.connection.execute(sql.READY_ACTIVITIES, (queue, names, 1)).fetchone() is not None else None


def _names(names: frozenset[str]) -> str:
    return as_json(sorted(names)).decode()


def _versions(transition: ClaimTasks) -> tuple[str | None, str | None]:
    """For statements that ask for it twice; numbered placeholders would do, were they not deprecated on Python 3.12."""
    versions = None if transition.versions is None else _names(transition.versions)
    return versions, versions
