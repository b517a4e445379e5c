"""The memory store, watched: what is under way in it, and when the next thing is due."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Container
from typing import TypeVar

import msgspec

from perdure.backends.admission import next_permit_at, permits
from perdure.backends.memory.rows import ActivityRow, InstanceRow, WorkerRow
from perdure.backends.memory.store import MemoryStore
from perdure.backends.memory.tables import Tables
from perdure.clock import Micros
from perdure.model.transition import Transition
from perdure.testing.tester.clock import VirtualClock

O = TypeVar("O")  # noqa: E741 - the outcome
T = TypeVar("T")


_PATIENCE: Micros = 60 * 1_000_000


class Look(msgspec.Struct):
    """What one look at the store has found."""

    is_busy: bool = False
    """Somebody works on something, or could begin to: time stands still."""
    next_at: Micros | None = None
    """When the next thing is due."""
    running: list[str] = []
    """Ids of instances that haven't ended."""
    stuck: dict[str, str] = {}
    """Why, by instance."""
    unserved: dict[str, str] = {}
    """What is due and nobody takes, by instance."""
    sub_workflows: list[str] = []
    """Ids of all that have a parent."""

    def due(self, at: Micros | None) -> None:
        """Something will be due then."""
        if at is not None and (self.next_at is None or at < self.next_at):
            self.next_at = at


class WatchedStore(MemoryStore):
    """`changed` is set by each transition, on the tester's event loop."""

    def __init__(self, clock: VirtualClock) -> None:
        super().__init__(clock=clock, blob_threshold=sys.maxsize)  # payloads stay where those find them who look back
        self.changed = asyncio.Event()
        self.is_between_workers = False
        """One has crashed and the next one hasn't begun: what is due isn't forgotten, and time stands still."""

    def commit(self, transition: Transition[O]) -> O:
        try:
            return super().commit(transition)
        finally:
            self.changed.set()

    def write(self, change: Callable[[Tables, Micros], T], *, when_filling: bool = False) -> T:
        try:
            return super().write(change, when_filling=when_filling)
        finally:
            self.changed.set()

    def look(self, parked: Container[int]) -> Look:
        """`parked` are keys of activities that do nothing but wait for the clock."""
        found = self.locked(lambda tables, now: _look(tables, now, parked))
        found.is_busy = found.is_busy or self.is_between_workers
        return found

    def time_passed(self) -> None:
        """Workers look for what is due; who waits for an answer does so in real time, of which little has passed."""

        def tell_all(tables: Tables, now: Micros) -> None:
            for worker in tables.workers.values():
                tables.ring(worker.bell)
            for question in tables.questions.values():
                question.expires_at = max(question.expires_at, now + _PATIENCE)

        self.locked(tell_all)


def _look(tables: Tables, now: Micros, parked: Container[int]) -> Look:
    found = Look(running=[], stuck={}, unserved={}, sub_workflows=[])
    workers = [worker for worker in tables.workers.values() if not worker.is_dead]
    found.is_busy = any(row.question.request and not row.is_answered for row in tables.questions.values())
    for row in tables.instances.values():
        if row.parent is not None:
            found.sub_workflows.append(row.instance_id)
        if row.is_running:
            found.running.append(row.instance_id)
            _look_at_instance(found, row, workers, now)
    for activity in tables.activities.values():
        if activity.is_open:
            continue  # somebody outside has it; its time-outs are among those below
        if activity.worker is None:
            _look_at_waiting(found, tables, activity, workers, now)
        elif activity.key not in parked:
            found.is_busy = True
    found.due(tables.deadlines.first_at())
    found.due(tables.patience.first_at())
    return found


def _look_at_instance(found: Look, row: InstanceRow, workers: list[WorkerRow], now: Micros) -> None:
    if row.stuck_reason is not None:
        found.stuck[row.instance_id] = row.stuck_reason
    elif row.claimed:
        found.is_busy = True
    elif row.suspended or row.wake_at is None:
        pass
    elif row.wake_at > now:
        found.due(row.wake_at)
    elif any(worker.start.serves(row.queue, row.workflow, row.version) for worker in workers):
        found.is_busy = True
    else:
        found.unserved[row.instance_id] = f"no worker takes workflow {row.workflow} from queue {row.queue!r}"


def _look_at_waiting(found: Look, tables: Tables, row: ActivityRow, workers: list[WorkerRow], now: Micros) -> None:
    if row.instance.suspended:
        return
    if row.due_at > now:
        found.due(row.due_at)
        return
    name = row.spec.name
    if not any(row.queue in worker.start.activity_queues and name in worker.start.activity_names for worker in workers):
        found.unserved[row.instance.instance_id] = f"no worker takes activity {name} from queue {row.queue!r}"
        return
    queue = tables.queues[row.queue]
    if queue.limits is None or permits(queue.limits, running=queue.running, bucket=queue.bucket, now=now):
        found.is_busy = True
        return
    at = next_permit_at(queue.limits, running=queue.running, bucket=queue.bucket, now=now)
    if at is None and queue.limits.paused:
        found.unserved[row.instance.instance_id] = f"queue {row.queue!r} is paused"
    found.due(at)
