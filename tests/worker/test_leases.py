"""K2: if a lease is lost, its work is stopped and not completed."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import pytest

from perdure.activities.context import activity_context
from perdure.activities.definition import activity
from perdure.app import App
from perdure.backends.memory.backend import MemoryBackend
from perdure.backends.memory.store import MemoryStore
from perdure.client.client import Client
from perdure.clock import SystemClock
from perdure.errors import StoreError, StoreUnavailable
from perdure.model.event import ActivityCompleted
from perdure.model.transition import (
    Checkpointed,
    Claimed,
    ClaimTasks,
    CompleteActivityTask,
    CompleteWorkflowTask,
    Recorded,
)
from perdure.worker.worker import Worker
from perdure.workflows.context import Context
from perdure.workflows.definition import workflow
from perdure.workflows.signal import Signal
from tests.worker.support import Watched, as_backend, until, until_async

go_on = Signal("go on", int)


class ShiftedClock(SystemClock):
    """The store's clock, which tests set forward: leases lapse without waiting."""

    def __init__(self) -> None:
        self.ahead_seconds = 0.0

    def now(self) -> int:
        return super().now() + round(self.ahead_seconds * 1_000_000)


@pytest.fixture
def clock() -> ShiftedClock:
    return ShiftedClock()


@pytest.fixture
def shifted(clock: ShiftedClock) -> MemoryBackend:
    return MemoryBackend(MemoryStore(clock=clock))


class Job:
    """An activity that says what becomes of it."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.free = asyncio.Event()

    @activity
    async def work(self) -> str:
        self.said.append("begun")
        try:
            await self.free.wait()
        except asyncio.CancelledError:
            self.said.append("cancelled")
            raise
        self.said.append("done")
        return "worked"


@workflow
async def delegate(ctx: Context) -> str:
    return await ctx.execute_activity(Job.work)


@workflow
async def wait(ctx: Context) -> int:
    return await ctx.signal_channel(go_on).receive()


async def test_k2_a_worker_that_the_store_calls_dead_drops_everything_and_starts_again_under_a_new_key(
    clock: ShiftedClock, shifted: MemoryBackend
) -> None:
    job = Job()
    app = App(workflows=[delegate, wait], activities=[job])
    watched = Watched(shifted)
    backend = as_backend(watched)
    async with Client(backend, app) as client, Worker(backend, app, lease=2):
        waiting = await client.start(wait)
        handle = await client.start(delegate)
        await until(lambda: job.said == ["begun"])
        [before] = [each for each in await shifted.list_workers() if each.is_alive]
        clock.ahead_seconds = 10
        await shifted.housekeep()  # what another worker would do
        await until(lambda: job.said == ["begun", "cancelled", "begun"])
        job.free.set()
        assert await handle.result() == "worked"
        await waiting.signal(go_on, 3)
        assert await waiting.result() == 3
        alive = [each for each in await shifted.list_workers() if each.is_alive]
        assert [each.started_at > before.started_at for each in alive] == [True]
        events = [each.event async for each in handle.history()]

    assert len([each for each in events if isinstance(each, ActivityCompleted)]) == 1
    assert job.said == ["begun", "cancelled", "begun", "done"]
    assert len(watched.of_kind(CompleteActivityTask)) == 1  # the second attempt's; nothing is said of the first


async def test_k2_a_worker_stops_by_its_own_clock_before_its_lease_ends(shifted: MemoryBackend) -> None:
    job = Job()
    app = App(workflows=[delegate], activities=[job])
    watched = Watched(shifted)
    backend = as_backend(watched)
    async with Client(backend, app) as client, Worker(backend, app, lease=5):
        await client.start(delegate)
        await until(lambda: job.said == ["begun"])
        watched.beats_fail = True
        began = time.monotonic()
        await until(lambda: "cancelled" in job.said)
        assert time.monotonic() - began < 5
        watched.beats_fail = False
        await until(lambda: job.said.count("begun") == 2)
        job.free.set()


async def test_trap_a_late_result_of_a_lost_lease_isnt_recorded_twice(
    clock: ShiftedClock, shifted: MemoryBackend
) -> None:
    free = threading.Event()
    begun: list[int] = []

    @activity
    def slow() -> int:
        begun.append(1)
        number = len(begun)
        free.wait(10)
        return number

    @workflow
    async def run(ctx: Context) -> int:
        return await ctx.execute_activity(slow)

    app = App(workflows=[run], activities=[slow])
    watched = Watched(shifted)
    backend = as_backend(watched)
    async with Client(backend, app) as client, Worker(backend, app, lease=2):
        handle = await client.start(run)
        await until(lambda: len(begun) == 1)
        clock.ahead_seconds = 10
        await shifted.housekeep()
        await until(lambda: len(begun) == 2)
        free.set()
        assert await handle.result() == 2
        events = [each.event async for each in handle.history()]

    assert [each.result for each in events if isinstance(each, ActivityCompleted)] == [b"2"]
    assert len(watched.of_kind(CompleteActivityTask)) == 1


async def test_trap_a_heartbeat_doesnt_steal_a_task_back(clock: ShiftedClock, shifted: MemoryBackend) -> None:
    said: list[str] = []

    @activity
    async def beating() -> None:
        said.append("begun")
        try:
            while True:
                activity_context().heartbeat()
                await asyncio.sleep(0.001)
        finally:
            said.append("ended")

    @workflow
    async def run(ctx: Context) -> None:
        await ctx.execute_activity(beating.with_options(heartbeat_timeout=0.1))

    theirs, ours = App(workflows=[run]), App(activities=[beating])
    async with Client(shifted, App(workflows=[run], activities=[beating])) as client:
        async with Worker(shifted, theirs), Worker(shifted, ours, lease=1_000, grace=0) as first:
            handle = await client.start(run)
            await until(lambda: said == ["begun"])
            [pending] = await shifted.read_activities(handle.instance_id)
            assert pending.worker == first.name
            clock.ahead_seconds = 2_000
            await shifted.housekeep()
            await until(lambda: "ended" in said)  # its heartbeat told that the lease is gone
            [pending] = await shifted.read_activities(handle.instance_id)
            assert pending.lost == 1


@pytest.mark.needs_cache
async def test_trap_sticky_instances_go_on_after_a_workers_death(clock: ShiftedClock, shifted: MemoryBackend) -> None:
    app = App(workflows=[wait])
    async with Client(shifted, app) as client:
        gone = Worker(shifted, app)
        await gone.__aenter__()
        handle = await client.start(wait)
        await until_async(lambda: _is_held(handle))
        await _vanish(gone)
        clock.ahead_seconds = 30
        async with Worker(shifted, app):
            await handle.signal(go_on, 4)
            assert await handle.result() == 4


@pytest.mark.needs_cache
async def test_trap_recovery_looks_at_all_queues(clock: ShiftedClock, shifted: MemoryBackend) -> None:
    app = App(workflows=[wait])
    async with Client(shifted, app) as client:
        gone = Worker(shifted, app, queues=["a", "b", "c"])
        await gone.__aenter__()
        handles = [await client.start(wait.with_options(queue=queue)) for queue in ("a", "b", "c")]
        for handle in handles:
            await until_async(lambda handle=handle: _is_held(handle))  # type: ignore[misc]
        await _vanish(gone)
        clock.ahead_seconds = 30
        async with Worker(shifted, app, queues=["c", "b"]), Worker(shifted, app, queues=["a"]):
            for handle in handles:
                await handle.signal(go_on, 4)
            assert [await handle.result() for handle in handles] == [4, 4, 4]


async def _is_held(handle: Any) -> bool:
    info = await handle.info()
    return info.history_length > 0 and info.worker is not None


async def _vanish(worker: Worker) -> None:
    """End a worker as a killed process does: without a word to the store."""
    assert worker._task is not None
    backend = worker._backend
    worker._backend.stop_worker = _say_nothing  # type: ignore[method-assign]
    worker._task.cancel()
    await asyncio.wait((worker._task,))
    del backend.stop_worker


async def _say_nothing(worker_key: int) -> None:
    pass


@pytest.mark.parametrize("kind", [ClaimTasks, CompleteWorkflowTask, CompleteActivityTask])
async def test_b4_what_was_leased_in_an_answer_that_got_lost_is_done_all_the_same(
    watched: Watched, kind: type[Any]
) -> None:
    lost: list[object] = []

    @activity
    async def step(number: int) -> int:
        return number

    @workflow
    async def steps(ctx: Context) -> int:
        return await ctx.execute_activity(step, 1) + await ctx.execute_activity(step, 2)

    def lose_first(transition: Any) -> StoreError | None:
        outcome = watched.outcomes[-1]
        brought = (
            (isinstance(outcome, Claimed) and (outcome.workflow_tasks or outcome.activity_tasks))
            or (isinstance(outcome, Checkpointed) and outcome.activities)
            or (isinstance(outcome, Recorded) and outcome.workflow_task)
        )
        if lost or not isinstance(transition, kind) or not brought:
            return None
        lost.append(outcome)
        return StoreUnavailable("the answer was lost")

    watched.lose_answer = lose_first
    app = App(workflows=[steps], activities=[step])
    backend = as_backend(watched)
    async with (
        Client(backend, app) as client,
        Worker(backend, app, cache_size=0 if kind is CompleteActivityTask else None),
    ):
        assert await client.run(steps) == 3

    assert len(lost) == 1
    assert await backend.list_workers() == []


async def test_an_uncertain_life_ends_what_it_runs_beside_the_next_one(watched: Watched) -> None:
    job = Job()
    app = App(workflows=[delegate, wait], activities=[job])
    lost: list[object] = []

    def lose_a_claim(transition: Any) -> StoreError | None:
        if job.said and not lost and isinstance(transition, ClaimTasks):
            lost.append(transition)
            return StoreUnavailable("the answer was lost")
        return None

    watched.lose_answer = lose_a_claim
    backend = as_backend(watched)
    async with Client(backend, app) as client, Worker(backend, app):
        handle = await client.start(delegate)
        await until(lambda: lost)
        waiting = await client.start(wait)
        await waiting.signal(go_on, 1)
        assert await waiting.result() == 1
        await until_async(lambda: _are_two(backend))
        job.free.set()
        assert await handle.result() == "worked"
        await until_async(lambda: _is_alone(backend))

    assert job.said == ["begun", "done"]


async def _is_alone(backend: Any) -> bool:
    return len(await backend.list_workers()) == 1


async def _are_two(backend: Any) -> bool:
    return len(await backend.list_workers()) == 2
