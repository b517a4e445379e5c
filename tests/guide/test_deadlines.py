"""docs/deadlines.md on every store: what bounds an attempt, an activity, a workflow, and what happens then.

Deadlines and the time-outs of what nobody runs are noticed by housekeeping, every few seconds.
"""

from __future__ import annotations

import asyncio

import pytest

from perdure import (
    NO_RETRY,
    ActivityTimeout,
    App,
    Client,
    Context,
    DeadlineExceeded,
    Orchestrator,
    RetryPolicy,
    Signal,
    State,
    WorkflowFailed,
    activity,
    activity_context,
    workflow,
)

go = Signal("go")
noted: list[str] = []
AT_ONCE = RetryPolicy(max_attempts=2, initial_interval=0)


@pytest.fixture(autouse=True)
def _nothing_noted() -> None:
    noted.clear()


@activity
async def hang() -> None:
    noted.append(f"attempt {activity_context().attempt}")
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        noted.append("stopped")
        raise


@activity
async def fall_silent() -> None:
    activity_context().heartbeat("half of it")
    noted.append(f"attempt {activity_context().attempt} after {activity_context().heartbeat_details(str)}")
    await asyncio.sleep(60)


@activity
async def fail() -> None:
    noted.append(f"attempt {activity_context().attempt}")
    raise ConnectionError("the bank doesn't answer")


@workflow
async def bounded(ctx: Context, what: str) -> str:
    calls = {
        "timeout": hang.with_options(timeout=0.05, retry=AT_ONCE),
        "total_timeout": fail.with_options(total_timeout=1, retry=RetryPolicy(initial_interval=60, max_interval=60)),
        "queue_timeout": hang.with_options(queue_timeout=0.1, queue="unserved"),
        "heartbeat_timeout": fall_silent.with_options(heartbeat_timeout=0.1, retry=AT_ONCE),
    }
    try:
        await ctx.execute_activity(calls[what])
    except ActivityTimeout as problem:
        return str(problem)
    return "no time-out"


@workflow
async def patient(ctx: Context) -> str:
    try:
        await ctx.signal_channel(go).receive()
    except asyncio.CancelledError:
        noted.append("cleaned up")
        raise
    return "done"


@workflow
async def rounds(ctx: Context) -> None:
    await ctx.sleep(0.02)
    ctx.continue_as_new(rounds)


@workflow
async def parent(ctx: Context) -> str:
    try:
        await ctx.execute_sub_workflow(patient.with_options(timeout=0.2))
    except DeadlineExceeded as problem:
        return str(problem)
    return "done"


@workflow
async def busy_parent(ctx: Context) -> None:
    await asyncio.gather(
        ctx.execute_sub_workflow(patient.with_options(instance_id="child")),
        ctx.execute_activity(hang.with_options(retry=NO_RETRY)),
    )


app = App(workflows=[bounded, patient, rounds, parent, busy_parent], activities=[hang, fall_silent, fail])


async def test_a3_timeout_ends_an_attempt_which_is_told_and_tried_again(store_url: str) -> None:
    async with Orchestrator(store_url, app) as perdure:
        assert "timeout in attempt 2" in await perdure.run(bounded, "timeout")

    assert noted == ["attempt 1", "stopped", "attempt 2", "stopped"]


async def test_a3_heartbeat_timeout_ends_an_attempt_that_says_nothing_any_more(store_url: str) -> None:
    async with Orchestrator(store_url, app) as perdure:
        assert "heartbeat_timeout" in await perdure.run(bounded, "heartbeat_timeout")

    assert noted == ["attempt 1 after None", "attempt 2 after half of it"]


async def test_a3_total_timeout_ends_the_wait_for_a_next_attempt(store_url: str) -> None:
    async with Orchestrator(store_url, app) as perdure:
        assert "total_timeout" in await perdure.run(bounded, "total_timeout")

    assert noted == ["attempt 1"]


async def test_a3_queue_timeout_ends_the_wait_for_a_worker(store_url: str) -> None:
    async with Orchestrator(store_url, app) as perdure:
        assert "queue_timeout" in await perdure.run(bounded, "queue_timeout")

    assert noted == []


async def test_a3_past_its_deadline_an_instance_has_failed_without_clean_up(store_url: str) -> None:
    async with Orchestrator(store_url, app, cache_size=0) as perdure:
        handle = await perdure.start(patient.with_options(timeout=0.3))
        with pytest.raises(WorkflowFailed) as caught:
            await handle.result()

        assert isinstance(caught.value.__cause__, DeadlineExceeded)
        assert await handle.state() is State.FAILED
        assert noted == []


async def test_a3_a_deadline_is_kept_whether_or_not_anybody_serves_the_instance(store_url: str) -> None:
    async with Orchestrator(store_url, app) as perdure:
        unserved = await perdure.start(patient.with_options(timeout=0.3, queue="unserved"))
        suspended = await perdure.start(patient.with_options(timeout=0.3))
        await suspended.suspend()

        assert await unserved.wait() is State.FAILED
        assert await suspended.wait() is State.FAILED


async def test_a3_a_deadline_is_that_of_all_executions_together(store_url: str) -> None:
    async with Orchestrator(store_url, app) as perdure:
        handle = await perdure.start(rounds.with_options(timeout=0.5))

        assert await handle.wait() is State.FAILED
        assert (await handle.info()).execution_number > 1


async def test_a3_a_sub_workflow_past_its_deadline_raises_in_its_parent(store_url: str) -> None:
    async with Orchestrator(store_url, app) as perdure:
        assert "patient" in await perdure.run(parent)


async def test_a3_what_a_deadline_leaves_behind(store_url: str) -> None:
    """Sub-workflows are closed as after any end; an activity that runs goes on, and its result is dropped."""
    async with Orchestrator(store_url, app, grace=0) as perdure:
        handle = await perdure.start(busy_parent.with_options(timeout=1))

        assert await handle.wait() is State.FAILED
        assert await perdure.wait("child") is State.CANCELLED
        assert noted == ["attempt 1", "cleaned up"]


async def test_a_time_out_of_who_waits_changes_nothing_for_the_instance(store_url: str) -> None:
    async with Orchestrator(store_url, app) as perdure:
        handle = await perdure.start(patient)
        with pytest.raises(TimeoutError):
            await handle.result(timeout=0.05)
        await handle.signal(go)

        assert await handle.result() == "done"


async def test_a_deadline_can_be_seen(store_url: str) -> None:
    async with Client(store_url, app) as client:
        handle = await client.start(patient.with_options(timeout=3600, start_delay=60))

        info = await handle.info()
        assert info.deadline_at is not None
        assert (info.deadline_at - info.created_at).total_seconds() == 3660
