from __future__ import annotations

import pytest

from perdure.backends.memory import MemoryBackend, MemoryStore
from perdure.backends.memory.tables import Tables
from perdure.clock import Micros
from perdure.testing.conformance import ManualClock, StoreUnderTest
from perdure.testing.conformance.agreeing import Script


def check_indexes(tables: Tables, now: Micros) -> None:
    """Every index says what the rows say."""
    rows = tables.instances.values()
    assert {row.instance_id: row for row in rows} == tables.by_id
    assert {row.key for row in rows if row.parent} == {key for some in tables.children.values() for key in some}
    waiting = {row.key for row in rows if row.line is not None}
    assert waiting == {
        row.key for row in rows if row.is_running and not row.suspended and not row.claimed and row.wake_at is not None
    }
    lines = [line for some in tables.instance_lines.values() for line in some.values()]
    lines += [worker.held for worker in tables.workers.values()]
    assert sum(len(line) for line in lines) == len(waiting)
    for worker in tables.workers.values():
        assert set(worker.instances) == {row.key for row in rows if row.worker is worker}
        assert set(worker.activities) == {key for key, row in tables.activities.items() if row.worker is worker}
        assert set(worker.told) == {key for key, row in worker.activities.items() if row.cancel_requested}
    assert all((row.token is None) == (row.worker is None) for row in rows)
    assert all((row.token is None) == (row.worker is None) or row.is_open for row in tables.activities.values())
    check_activities(tables)


def check_activities(tables: Tables) -> None:
    of_instances = {
        activity.key: activity
        for row in tables.instances.values()
        for activity in (*row.activities.values(), *row.dropped.values())
    }
    assert of_instances == tables.activities
    assert all(row.worker is not None for row in tables.activities.values() if not row.is_waited_for)
    free = {
        key
        for key, row in tables.activities.items()
        if row.worker is None and not row.is_open and not row.instance.suspended
    }
    assert free == {key for key, row in tables.activities.items() if row.line is not None}
    lines = [line for some in tables.activity_lines.values() for line in some.values()]
    assert sum(len(line) for line in lines) == len(free)
    for name, queue in tables.queues.items():
        assert queue.running == sum(row.queue == name and row.worker is not None for row in tables.activities.values())


@pytest.mark.parametrize("seed", range(1000, 1030))
async def test_indexes_stay_true_whatever_happens(seed: int) -> None:
    clock = ManualClock()
    store = MemoryStore(clock=clock)

    async def advance(seconds: float) -> None:
        clock.advance(seconds)
        store.locked(check_indexes)

    script = Script(StoreUnderTest(MemoryBackend(store), advance=advance), seed)
    await script.play()
    store.locked(check_indexes)
