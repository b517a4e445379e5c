"""The tester: months in milliseconds, mocks, callbacks, and failures that say where."""

from __future__ import annotations

import asyncio
import unittest
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from unittest.mock import ANY

import pytest

from perdure import (
    App,
    Context,
    InstanceNotRunning,
    RetryPolicy,
    Signal,
    State,
    WorkflowCancelled,
    WorkflowFailed,
    activity,
    activity_context,
    workflow,
)
from perdure.testing import UnexpectedCall, UnmetExpectation, WorkflowBlocked, WorkflowTester

NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)
go = Signal("go", str)


@activity
async def activity1(a: int, b: int = 12) -> int:
    raise AssertionError("the real activity1")


@activity(
    retry=RetryPolicy(max_attempts=3, initial_interval=timedelta(hours=1), max_interval=timedelta(days=1), jitter=0)
)
def activity2() -> int:
    raise AssertionError("the real activity2")


@activity
async def real(text: str) -> str:
    await asyncio.sleep(0.01)
    return text.upper()


@workflow
async def workflow1(ctx: Context, text: str) -> int:
    """The sample of go-workflows' README."""
    first = await ctx.execute_activity(activity1, 35, 12)
    return first + await ctx.execute_activity(activity2)


@workflow
async def sleeps(ctx: Context, days: int) -> datetime:
    await ctx.sleep(timedelta(days=days))
    return ctx.now()


@workflow
async def waits(ctx: Context) -> str:
    try:
        decision = await ctx.signal_channel(go).receive()
        await ctx.sleep(timedelta(days=30))
    finally:
        async with ctx.disconnected() as cleanup:
            await cleanup.execute_activity(real, "clean")
    return decision


@workflow
async def parent(ctx: Context, number: int) -> str:
    return await ctx.execute_sub_workflow(child, number)


@workflow
async def child(ctx: Context, number: int) -> str:
    return await ctx.signal_channel(go).receive() * number


@workflow
async def again(ctx: Context, left: int) -> str:
    await ctx.sleep(timedelta(days=1))
    if left:
        ctx.continue_as_new(again, left - 1)
    return "at last"


@workflow
async def for_ever(ctx: Context) -> None:
    while True:
        await ctx.sleep(timedelta(days=1))


@workflow
async def leaves_one_behind(ctx: Context) -> None:
    ctx.execute_activity(real, "left")


@workflow
async def asked(ctx: Context) -> None:
    async def later(days: int) -> str:
        await ctx.sleep(timedelta(days=days))
        return "done"

    ctx.on_update(later)
    await ctx.sleep(timedelta(days=100))


app = App(
    workflows=[workflow1, sleeps, waits, parent, child, again, for_ever, leaves_one_behind, asked],
    activities=[activity1, activity2, real],
)


async def test_the_sample_of_go_workflows() -> None:
    async with WorkflowTester(app) as tester:
        tester.on_activity(activity1, ANY, 12).returns(47).once()
        tester.on_activity(activity2).returns(12).once()

        assert await tester.run(workflow1, "Hello world") == 59


async def test_thirty_days_a_signal_at_day_three_and_a_cancel_at_day_twelve() -> None:
    async with WorkflowTester(app, initial_time=NEW_YEAR) as tester:
        clean_up = tester.on_activity(real).returns("")
        handle = await tester.start(waits)
        tester.at(timedelta(days=3), lambda: handle.signal(go, "yes"))
        tester.at(NEW_YEAR + timedelta(days=12), handle.cancel)

        with pytest.raises(WorkflowCancelled):
            await handle.result()

        assert tester.now == NEW_YEAR + timedelta(days=12)
        assert [call.args for call in clean_up.called] == [("clean",)]


async def test_the_clock_stands_still_but_while_the_tester_is_awaited() -> None:
    async with WorkflowTester(app, initial_time=NEW_YEAR) as tester:
        handle = await tester.start(sleeps, 30)
        await asyncio.sleep(0.05)
        assert tester.now == NEW_YEAR

        await tester.advance(timedelta(days=29))
        assert await handle.state() is State.RUNNING
        assert tester.now == NEW_YEAR + timedelta(days=29)

        await tester.advance_to(NEW_YEAR + timedelta(days=40))
        assert await handle.result() == NEW_YEAR + timedelta(days=30)
        assert tester.now == NEW_YEAR + timedelta(days=40)


async def test_a_real_activity_takes_real_time_in_which_the_clock_stands() -> None:
    async with WorkflowTester(app, initial_time=NEW_YEAR) as tester:
        slow = await tester.start(sleeps, 1)
        handle = await tester.start(waits)
        await handle.signal(go, "on")
        assert await handle.result() == "on"
        assert await slow.result() == NEW_YEAR + timedelta(days=1)


async def test_retries_wait_on_the_testers_clock() -> None:
    async with WorkflowTester(app, initial_time=NEW_YEAR) as tester:
        tester.on_activity(activity1).returns(1)
        failing = tester.on_activity(activity2).raises(ConnectionError("away")).times(2)
        tester.on_activity(activity2).returns(2).once()

        assert await tester.run(workflow1, "") == 3

        assert len(failing.called) == 2
        assert tester.now == NEW_YEAR + timedelta(hours=3)


async def test_an_error_of_a_mock_keeps_its_type() -> None:
    async with WorkflowTester(app) as tester:
        tester.on_activity(activity1).raises(ZeroDivisionError("by nothing"))

        with pytest.raises(WorkflowFailed) as failed:
            await tester.run(workflow1, "")

        assert isinstance(failed.value.__cause__, ZeroDivisionError)


async def test_mocks_that_take_their_time_overlap() -> None:
    @workflow
    async def both(ctx: Context) -> tuple[int, int]:
        return await asyncio.gather(ctx.execute_activity(activity1, 1), ctx.execute_activity(activity1, 2))

    async with WorkflowTester(App(workflows=[both], activities=[activity1]), initial_time=NEW_YEAR) as tester:
        tester.on_activity(activity1, 1).returns(10).after(timedelta(hours=5))
        tester.on_activity(activity1, 2).returns(20).after(timedelta(hours=3))

        assert await tester.run(both) == (10, 20)
        assert tester.now == NEW_YEAR + timedelta(hours=5)


async def test_a_mock_may_be_a_function_async_or_not() -> None:
    seen: list[str] = []

    async def stand_in(a: int, b: int) -> int:
        seen.append(activity_context().activity)
        return a + b

    async with WorkflowTester(app) as tester:
        tester.on_activity(activity1).calls(stand_in)
        tester.on_activity(activity2).calls(lambda: 1)

        assert await tester.run(workflow1, "") == 48
        assert seen == ["activity1"]


async def test_arguments_match_however_they_were_given() -> None:
    @workflow
    async def by_name(ctx: Context) -> int:
        return await ctx.execute_activity(activity1, a=1)

    async with WorkflowTester(App(workflows=[by_name], activities=[activity1])) as tester:
        tester.on_activity(activity1, 1, b=12).returns(5)

        assert await tester.run(by_name) == 5


async def test_what_is_known_by_name_alone_can_be_mocked() -> None:
    async with WorkflowTester(App(workflows=[workflow1])) as tester:
        tester.on_activity("activity1", 35, 12).returns(1)
        tester.on_activity("activity2").returns(2)

        assert await tester.run(workflow1, "") == 3


async def test_a_call_that_nobody_expects_fails_the_test() -> None:
    async with WorkflowTester(app) as tester:
        tester.on_activity(activity1, 1, 2).returns(47)

        with pytest.raises(UnexpectedCall, match=r"activity activity1 was called by .* with \(35, 12\)"):
            await tester.run(workflow1, "")


async def test_what_was_expected_and_never_called_fails_the_test() -> None:
    tester = WorkflowTester(app)
    with pytest.raises(UnmetExpectation, match=r"activity activity2\(…\): expected 1 calls, got 0"):
        async with tester:
            tester.on_activity(activity2).once()
            await tester.run(sleeps, 1)


async def test_a_sub_workflow_can_be_mocked_and_listened_to() -> None:
    async with WorkflowTester(app, initial_time=NEW_YEAR) as tester:
        tester.on_sub_workflow(child, 1).raises(ValueError("no"))
        mock = tester.on_sub_workflow(child, 3).returns("three").after(timedelta(days=2)).once()
        started: list[str] = []
        tester.on_sub_workflow_started(started.append)

        assert await tester.run(parent, 3) == "three"

        assert [(call.args, call.instance_id) for call in mock.called] == [((3,), started[0])]
        assert tester.now == NEW_YEAR + timedelta(days=2)
        with pytest.raises(WorkflowFailed, match="no"):
            await tester.run(parent, 1)


async def test_who_listens_to_sub_workflows_can_signal_them() -> None:
    async with WorkflowTester(app, initial_time=NEW_YEAR) as tester:
        tester.on_sub_workflow_started(lambda instance_id: tester.signal(instance_id, go, "ab"))

        assert await tester.run(parent, 2) == "abab"
        assert tester.now == NEW_YEAR


async def test_the_result_follows_continue_as_new() -> None:
    async with WorkflowTester(app, initial_time=NEW_YEAR) as tester:
        assert await tester.run(again, 5) == "at last"
        assert tester.now == NEW_YEAR + timedelta(days=6)


@pytest.mark.needs_cache
async def test_a_blocked_workflow_says_where_it_is_blocked() -> None:
    async with WorkflowTester(app) as tester:
        with pytest.raises(WorkflowBlocked) as blocked:
            await tester.run(parent, 1)

    text = str(blocked.value)
    assert f"{__file__}:" in text
    assert "in parent, waiting for sub-workflow child" in text
    assert "return await ctx.signal_channel(go).receive() * number" in text


async def test_an_activity_that_nobody_runs_is_named() -> None:
    async with WorkflowTester(App(workflows=[workflow1])) as tester:
        with pytest.raises(WorkflowBlocked, match="no worker takes activity activity1 from queue 'default'"):
            await tester.run(workflow1, "")


async def test_a_workflow_without_end_meets_the_time_limit() -> None:
    async with WorkflowTester(app, initial_time=NEW_YEAR, time_limit=timedelta(days=50)) as tester:
        with pytest.raises(WorkflowBlocked, match="beyond 2026-02-20, which is the tester's `time_limit`"):
            await tester.run(for_ever)


async def test_an_activity_left_behind_fails_the_test() -> None:
    """W10."""
    tester = WorkflowTester(app)
    with pytest.raises(AssertionError, match=r"ended while activities of it hadn't: real \(1\)"):
        async with tester:
            await tester.run(leaves_one_behind)


async def test_what_a_callback_raises_fails_the_test() -> None:
    async with WorkflowTester(app) as tester:
        handle = await tester.start(sleeps, 2)
        tester.at(timedelta(days=1), lambda: tester.signal("nobody", go, "x"))
        with pytest.raises(Exception, match="nobody"):
            await handle.result()


async def test_a_callback_may_wait_for_a_result_itself() -> None:
    async with WorkflowTester(app, initial_time=NEW_YEAR) as tester:
        seen: list[datetime] = []

        async def run_another() -> None:
            seen.append(await tester.run(sleeps, 5))

        tester.at(timedelta(days=1), run_another)
        await tester.run(sleeps, 10)

        assert seen == [NEW_YEAR + timedelta(days=6)]


async def test_an_update_that_takes_days_is_answered() -> None:
    async with WorkflowTester(app, initial_time=NEW_YEAR) as tester:
        handle = await tester.start(asked)
        assert await handle.update("later", 3) == "done"
        assert tester.now == NEW_YEAR + timedelta(days=3)


async def test_a_timeout_of_the_client_is_on_the_testers_clock() -> None:
    async with WorkflowTester(app, initial_time=NEW_YEAR) as tester:
        handle = await tester.start(sleeps, 30)
        with pytest.raises(TimeoutError):
            await handle.result(timeout=timedelta(days=3))
        assert tester.now == NEW_YEAR + timedelta(days=3)


async def test_a_workflows_deadline_is_on_the_testers_clock() -> None:
    async with WorkflowTester(app, initial_time=NEW_YEAR) as tester:
        with pytest.raises(WorkflowFailed, match="DeadlineExceeded"):
            await tester.run(sleeps.with_options(timeout=timedelta(days=3)), 30)
        assert tester.now == NEW_YEAR + timedelta(days=3)


tokens: list[str] = []


@activity(timeout=timedelta(days=3), retry=RetryPolicy(max_attempts=2, jitter=0))
async def ask_somebody() -> str:
    tokens.append(activity_context().token)
    activity_context().complete_later()


@workflow
async def asks(ctx: Context) -> tuple[str, datetime]:
    return await ctx.execute_activity(ask_somebody), ctx.now()


async def test_what_is_completed_from_outside_takes_its_days() -> None:
    tokens.clear()
    async with WorkflowTester(App(workflows=[asks], activities=[ask_somebody]), initial_time=NEW_YEAR) as tester:
        tester.at(timedelta(days=5), lambda: tester.complete_activity(tokens[-1], "yes"))
        answer, at = await tester.run(asks)

    assert (answer, at.date(), len(tokens)) == ("yes", (NEW_YEAR + timedelta(days=5)).date(), 2)


async def test_errors_of_the_client_are_those_of_production() -> None:
    async with WorkflowTester(app) as tester:
        handle = await tester.start(sleeps, 1)
        await handle.result()
        with pytest.raises(InstanceNotRunning):
            await handle.signal(go, "late")


async def test_the_fixture(workflow_tester: Callable[..., WorkflowTester]) -> None:
    async with workflow_tester(app, initial_time=NEW_YEAR) as tester:
        assert await tester.run(sleeps, 1) == NEW_YEAR + timedelta(days=1)


class InPlainUnittest(unittest.IsolatedAsyncioTestCase):
    async def test_it_works_there(self) -> None:
        async with WorkflowTester(app, initial_time=NEW_YEAR) as tester:
            assert await tester.run(sleeps, 1) == NEW_YEAR + timedelta(days=1)
