"""Workers' lives, and what time brings: lapsed leases, time-outs, deadlines, what may be forgotten."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import msgspec

from perdure.backends.endings import DEAD_WORKERS_KEPT, LOSSES_IN_A_ROW, losses_reason
from perdure.backends.memory.appending import forget_receipts
from perdure.backends.memory.attempts import expire, lose_attempt, release_attempt
from perdure.backends.memory.checkpoints import stick
from perdure.backends.memory.operators import pass_deadline
from perdure.backends.memory.rows import WorkerRow
from perdure.backends.memory.tables import Tables
from perdure.backends.protocol import Beat, Housekeeping, WorkerStart
from perdure.clock import Micros


def start_worker(tables: Tables, start: WorkerStart, now: Micros) -> int:
    key = tables.keys.draw(now)
    tables.workers[key] = WorkerRow(key, start, started_at=now, beat_at=now)
    # What waits already isn't news to the lines: the first wait returns at once.
    tables.workers[key].bell.is_rung = True
    return key


def beat(tables: Tables, worker_key: int, now: Micros) -> Beat:
    worker = tables.workers.get(worker_key)
    if worker is None or worker.is_dead or tables.sealed_for is not None:
        return Beat(is_alive=False, now=now)
    worker.beat_at = max(worker.beat_at, now)
    return Beat(is_alive=True, now=now)


def stop_worker(tables: Tables, worker_key: int, now: Micros) -> None:
    worker = tables.workers.get(worker_key)
    if worker is None:
        return
    give_leases_back(tables, worker, now)
    del tables.workers[worker_key]
    tables.ring(worker.bell)


def retire_worker(tables: Tables, worker_key: int, running: Collection[tuple[int, int]], now: Micros) -> None:
    worker = tables.workers.get(worker_key)
    if worker is not None:
        worker.start = msgspec.structs.replace(worker.start, is_retired=True)
        give_leases_back(tables, worker, now, but=running)


def give_leases_back(
    tables: Tables, worker: WorkerRow, now: Micros, but: Collection[tuple[int, int | None]] = ()
) -> None:
    """Nothing of it counts as lost. `but` are the keys and tokens of activities that it keeps."""
    for instance in list(worker.instances.values()):
        tables.release_instance(instance)
        tables.place_instance(instance, now)
    for activity in list(worker.activities.values()):
        if (activity.key, activity.token) not in but:
            release_attempt(tables, activity, now)


def housekeep(tables: Tables, now: Micros) -> Housekeeping:
    lost = [worker for worker in tables.workers.values() if not worker.is_dead and worker.lease_until <= now]
    stuck: list[str] = []
    activities_lost = lose(tables, lost, now, stuck)
    expired = sum(expire(tables, tables.activities[key], now) for key in tables.patience.pop_due(now))
    deadlines = 0
    for key in tables.deadlines.pop_due(now):
        pass_deadline(tables, tables.instances[key], now)
        deadlines += 1
    _forget(tables, now)
    lapses_at = min((worker.lease_until for worker in tables.workers.values() if not worker.is_dead), default=None)
    return Housekeeping(
        workers_lost=len(lost),
        activities_lost=activities_lost,
        activities_expired=expired,
        deadlines_passed=deadlines,
        stuck=tuple(stuck),
        next_lapse_in=None if lapses_at is None else lapses_at - now,
    )


def lose(tables: Tables, workers: Sequence[WorkerRow], now: Micros, stuck: list[str]) -> int:
    """These workers are dead; how many activity attempts were lost. Ids of instances that are stuck now are added."""
    for worker in workers:
        worker.is_dead = True
    return sum(_take_over(tables, worker, now, stuck) for worker in workers)


def _take_over(tables: Tables, worker: WorkerRow, now: Micros, stuck: list[str]) -> int:
    """End the leases of a dead worker; how many activity attempts were lost."""
    for instance in list(worker.instances.values()):
        was_out = instance.claimed
        tables.release_instance(instance)
        instance.lost += was_out
        if instance.lost >= LOSSES_IN_A_ROW:
            stick(tables, instance, losses_reason(), None, now)
            stuck.append(instance.instance_id)
        else:
            tables.place_instance(instance, now)
    activities = list(worker.activities.values())
    for activity in activities:
        lose_attempt(tables, activity, now)
    tables.ring(worker.bell)
    return len(activities)


def _forget(tables: Tables, now: Micros) -> None:
    forget_receipts(tables, now)
    for question_id, row in list(tables.questions.items()):
        if row.expires_at <= now:
            del tables.questions[question_id]
    for worker in list(tables.workers.values()):
        if worker.is_dead and worker.lease_until + DEAD_WORKERS_KEPT <= now:
            del tables.workers[worker.key]
    tables.drop_empty_lines()
