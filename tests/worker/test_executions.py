"""What becomes of executions in memory when the store refuses, fails or is silent."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from typing import Any

import pytest

from perdure.activities.definition import activity
from perdure.app import App
from perdure.backends.memory.backend import MemoryBackend
from perdure.client.client import Client
from perdure.engine.limits import Limits
from perdure.errors import StoreError, StoreSealed, StoreUnavailable
from perdure.model.event import ActivityCompleted, ActivityFailed
from perdure.model.retry import RetryPolicy
from perdure.model.transition import (
    ActivityResult,
    CompleteActivityTask,
    CompleteWorkflowTask,
    MarkStuck,
    ReleaseInstance,
)
from perdure.worker.seat import retry_delay
from perdure.worker.worker import Worker
from perdure.workflows.context import Context
from perdure.workflows.definition import workflow
from perdure.workflows.signal import Signal
from tests.worker.support import Watched, as_backend, until, until_async

go_on = Signal("go on", int)
charged: list[int] = []

pytestmark = pytest.mark.needs_cache


@activity
async def charge(cents: int) -> int:
    charged.append(cents)
    return cents


@workflow
async def buy(ctx: Context, cents: int) -> int:
    first = await ctx.execute_activity(charge, cents)
    return first + await ctx.execute_activity(charge, cents + 1)


@workflow
async def wait(ctx: Context) -> int:
    return await ctx.signal_channel(go_on).receive()


app = App(workflows=[buy, wait], activities=[charge])


@pytest.fixture(autouse=True)
def _nothing_charged() -> None:
    charged.clear()


def first_fused(watched: Watched) -> Any:
    """Only the first checkpoint with a fused result."""

    def pick(transition: Any) -> bool:
        if not isinstance(transition, CompleteWorkflowTask) or not transition.fused:
            return False
        return len([each for each in watched.of_kind(CompleteWorkflowTask) if each.fused]) == 1

    return pick


@pytest.mark.parametrize("error", [StoreUnavailable("away"), StoreError("too large")])
async def test_b2_a_fused_commit_that_fails_drops_the_execution_and_sends_the_result_alone(
    watched: Watched, error: StoreError
) -> None:
    """Trap: a failed checkpoint leaving the cached execution ahead of the store."""
    is_first = first_fused(watched)
    watched.fail = lambda transition: error if is_first(transition) else None
    backend = as_backend(watched)
    async with Client(backend, app) as client, Worker(backend, app):
        handle = await client.start(buy, 10)
        assert await handle.result() == 21
        events = [each.event async for each in handle.history()]

    assert charged == [10, 11]
    assert len([each for each in events if isinstance(each, ActivityCompleted)]) == 2
    [alone] = [each for each in watched.of_kind(CompleteActivityTask) if isinstance(each.end, ActivityResult)]
    assert alone.end.result == b"10"


async def test_b4_a_fused_commit_whose_answer_is_lost_is_neither_repeated_nor_lost(watched: Watched) -> None:
    is_first = first_fused(watched)
    watched.lose_answer = lambda transition: StoreUnavailable("lost") if is_first(transition) else None
    backend = as_backend(watched)
    async with Client(backend, app) as client, Worker(backend, app, activity_queues=()):
        async with Worker(backend, App(activities=[charge])) as other:
            handle = await client.start(buy, 10)
            assert await handle.result() == 21
            events = [each.event async for each in handle.history()]
            await other.stop()

    assert len([each for each in events if isinstance(each, ActivityCompleted)]) == 2


async def test_b2_a_checkpoint_of_an_instance_that_an_operator_touched_is_refused_and_read_again(
    memory: MemoryBackend,
) -> None:
    async with Client(memory, app) as client, Worker(memory, app):
        handle = await client.start(wait)
        await until_async(lambda: _is_held(handle))
        await handle.suspend()
        await handle.signal(go_on, 7)
        await asyncio.sleep(0.05)
        assert await handle.state() == "running"
        await handle.resume()
        assert await handle.result() == 7


async def _is_held(handle: Any) -> bool:
    info = await handle.info()
    return info.history_length > 0 and info.worker is not None


async def test_b2_a_suspend_during_a_fused_step_loses_nothing(watched: Watched) -> None:
    backend = as_backend(watched)
    is_first = first_fused(watched)
    async with Client(backend, app) as client, Worker(backend, app):
        started = asyncio.Event()

        async def suspend_first() -> None:
            started.set()
            await client.suspend("order-7")

        watched.hold = lambda transition: suspend_first() if is_first(transition) else None
        handle = await client.start(buy.with_options(instance_id="order-7"), 10)
        await started.wait()
        await until(lambda: any(isinstance(each.end, ActivityResult) for each in watched.of_kind(CompleteActivityTask)))
        assert await handle.state() == "running"
        await handle.resume()
        assert await handle.result() == 21

    assert charged == [10, 11]


async def test_b3_a_failed_checkpoint_releases_the_lease_at_once(watched: Watched) -> None:
    failed: list[int] = []

    def fail_once(transition: Any) -> StoreError | None:
        if isinstance(transition, CompleteWorkflowTask) and not failed:
            failed.append(1)
            return StoreUnavailable("away")
        return None

    watched.fail = fail_once
    backend = as_backend(watched)
    async with Client(backend, app) as client, Worker(backend, app):
        assert await client.run(buy, 1) == 3

    assert watched.of_kind(ReleaseInstance)


# --- stuck


async def test_e4_code_that_doesnt_fit_its_history_makes_the_instance_stuck_until_it_fits(
    memory: MemoryBackend,
) -> None:
    @workflow(name="buy")
    async def other(ctx: Context, cents: int) -> int:
        await ctx.sleep(60)
        return 0

    changed = App(workflows=[other], activities=[charge])
    async with Client(memory, app) as client:
        handle = await client.start(buy, 10)
        async with Worker(memory, app, activity_queues=()):
            await until_async(lambda: _is_held(handle))
        async with Worker(memory, changed):
            await until_async(lambda: _is_stuck(handle))
            stuck = (await handle.info()).stuck
            assert stuck is not None
            assert stuck.reason.startswith("NonDeterminismError")
            assert stuck.retry_at is not None
        async with Worker(memory, app):
            await handle.resume()
            assert await handle.result() == 21


async def _is_stuck(handle: Any) -> bool:
    return (await handle.info()).stuck is not None


def test_e4_a_stuck_task_is_tried_again_after_1_s_doubling_to_5_min() -> None:
    seconds = [retry_delay(attempts) / 1_000_000 for attempts in (0, 1, 2, 3, 8, 9, 10_000)]

    assert seconds == [1, 2, 4, 8, 256, 300, 300]


async def test_e4_a_stuck_task_is_tried_again_by_itself(memory: MemoryBackend) -> None:
    @workflow
    async def late(ctx: Context) -> str:
        await ctx.execute_activity(charge, 1)
        return "done"

    small, large = Limits(history_events=2), Limits()
    lates = App(workflows=[late], activities=[charge])
    async with Client(memory, lates) as client:
        handle = await client.start(late)
        async with Worker(memory, lates, limits=small):
            await until_async(lambda: _is_stuck(handle))
            stuck = (await handle.info()).stuck
            assert stuck is not None
            assert "HistoryTooLong" in stuck.reason
        async with Worker(memory, lates, limits=large):
            assert await handle.result() == "done"


async def test_e5_a_runaway_waits_for_resume(memory: MemoryBackend) -> None:
    @workflow
    async def runaway(ctx: Context) -> None:
        while True:
            ctx.side_effect(lambda: 1)

    apps = App(workflows=[runaway, buy], activities=[charge])
    async with Client(memory, apps) as client, Worker(memory, apps, limits=Limits(drain_commands=1_000)):
        handle = await client.start(runaway)
        await until_async(lambda: _is_stuck(handle))
        stuck = (await handle.info()).stuck
        assert stuck is not None
        assert stuck.reason.startswith("RunawayWorkflow")
        assert stuck.retry_at is None
        assert await client.run(buy, 1) == 3


async def test_a_bad_argument_in_a_row_makes_one_instance_stuck_and_harms_no_other(memory: MemoryBackend) -> None:
    """Trap: a bad payload crashing the worker again and again."""

    @workflow(name="buy")
    async def as_text(ctx: Context, cents: str) -> None:
        pass

    async with Client(memory, App(workflows=[as_text])) as theirs:
        bad = await theirs.start(as_text, "ten")
    async with Client(memory, app) as client, Worker(memory, app):
        assert await client.run(buy, 1) == 3
        await until_async(lambda: _is_stuck(client.handle(bad.instance_id)))
        assert await client.run(buy, 1) == 3


async def test_a_bad_signal_payload_is_the_workflows_to_handle(memory: MemoryBackend) -> None:
    """Trap: a bad signal payload crashing the worker again and again."""
    text = Signal("go on", str)
    async with Client(memory, app) as client, Worker(memory, app):
        handle = await client.start(wait)
        await handle.signal(text, "not a number")
        assert await handle.wait() == "failed"
        assert await client.run(buy, 1) == 3


async def test_a_store_that_cant_write_a_checkpoint_makes_the_instance_stuck_not_the_worker_busy(
    watched: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    watched.fail = lambda transition: (
        StoreError("this row is too large") if isinstance(transition, CompleteWorkflowTask) else None
    )
    backend = as_backend(watched)
    async with Client(backend, app) as client, Worker(backend, app):
        handle = await client.start(buy, 1)
        await until_async(lambda: _is_stuck(handle))
        await asyncio.sleep(0.2)
        stuck = (await handle.info()).stuck
        assert stuck is not None
        assert "too large" in stuck.reason

    assert len(watched.of_kind(MarkStuck)) == 1
    assert any(record.levelno == logging.ERROR for record in caplog.records)


async def test_the_end_of_an_activity_that_the_store_cant_hold_becomes_a_failure_that_says_so(
    watched: Watched,
) -> None:
    @activity(retry=RetryPolicy(initial_interval=timedelta(0)))
    async def shout() -> str:
        return "too much"

    @workflow
    async def hear(ctx: Context) -> str:
        return await ctx.execute_activity(shout)

    def refuse(transition: Any) -> StoreError | None:
        is_result = isinstance(transition, CompleteActivityTask) and isinstance(transition.end, ActivityResult)
        is_fused = isinstance(transition, CompleteWorkflowTask) and transition.fused
        return StoreError("no \0 in texts") if is_result or is_fused else None

    watched.fail = refuse
    backend = as_backend(watched)
    both = App(workflows=[hear], activities=[shout])
    async with Client(backend, both) as client, Worker(backend, both, cache_size=0):
        handle = await client.start(hear)
        assert await handle.wait() == "failed"
        [failed] = [each.event async for each in handle.history() if isinstance(each.event, ActivityFailed)]

    assert "can't hold" in failed.failure.message


async def test_k1_a_store_that_is_away_is_asked_seldom_and_logged_once(
    watched: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    backend = as_backend(watched)
    async with Client(backend, app) as client, Worker(backend, app):
        handle = await client.start(wait)
        await until_async(lambda: _is_held(handle))
        watched.fail = lambda _: StoreUnavailable("the cable")
        before = len(watched.committed)
        await handle_signal_later(watched, handle)
        asked = len(watched.committed) - before
        assert await handle.result() == 5

    assert asked < 40
    said = [each for each in caplog.records if "claiming tasks" in each.message and "again until" in each.message]
    assert len(said) == 1


async def handle_signal_later(watched: Watched, handle: Any) -> None:
    await asyncio.sleep(2)
    watched.fail = lambda _: None
    await handle.signal(go_on, 5)


async def test_b12_a_worker_of_a_store_that_was_moved_ends_and_says_where_to(memory: MemoryBackend) -> None:
    async with Client(memory, app) as client:
        running = asyncio.create_task(Worker(memory, app).run_forever())
        handle = await client.start(wait)
        await until_async(lambda: _is_held(handle))
        await memory.seal("postgresql://new")
        with pytest.raises(StoreSealed) as caught:
            await asyncio.wait_for(running, 10)

    assert caught.value.target == "postgresql://new"
