"""W7, W8 beyond the twenty cases of test_cancellation.py: debts, refusals, groups, clean-up, time-outs."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from typing import Any

import pytest

from perdure.engine.limits import Limits
from perdure.errors import RunawayWorkflow
from perdure.workflows.context import Context
from perdure.workflows.definition import workflow
from perdure.workflows.signal import Signal
from tests.engine.harness import Run, act

go = Signal("go")


def test_a_time_out_around_an_activity_raises_timeout_error(evicting: bool) -> None:
    """W8, DESIGN 11: asyncio.timeout means what asyncio says."""

    @workflow
    async def times_out(ctx: Context) -> str:
        try:
            async with asyncio.timeout(5):
                await act(ctx, "slow")
        except TimeoutError:
            return str(await act(ctx, "fallback"))
        return ""

    run = Run(times_out, evicting=evicting)
    run.wait(5)
    run.complete("fallback", "F")
    assert run.result == "F"


def test_a_refused_command_settles_the_debt(evicting: bool) -> None:
    """W7: the cancel comes once, as the refusal; a plain wait after it isn't cancelled again."""

    @workflow
    async def refused(ctx: Context) -> list[str]:
        log = [str(await act(ctx, "a"))]
        try:
            await act(ctx, "b")
        except asyncio.CancelledError:
            log.append("refused")
        await asyncio.sleep(5)
        return [*log, "slept"]

    run = Run(refused, evicting=evicting)
    run.cancel()
    run.complete("a", "A")
    run.wait(5)
    assert run.result == ["A", "refused", "slept"]


def test_an_activity_that_ends_cancelled_pays_the_debt(evicting: bool) -> None:
    """W7: its CancelledError is the instance's; clean-up after it isn't disturbed by a second one."""

    @workflow
    async def cleans_up(ctx: Context) -> list[str]:
        try:
            await act(ctx, "a", cancellation="request")
        except asyncio.CancelledError:
            async with ctx.disconnected() as cleanup:
                undone = await act(cleanup, "undo")
            async with asyncio.timeout(50):
                await asyncio.sleep(5)
            return [undone, "slept"]
        return []

    run = Run(cleans_up, evicting=evicting)
    run.cancel()
    run.fail("a", asyncio.CancelledError(), cancelled=True)  # type: ignore[arg-type]
    run.complete("undo", "U")
    run.wait(5)
    assert run.result == ["U", "slept"]


def test_the_debt_is_paid_through_tasks_too(evicting: bool) -> None:
    """W7: every task on the path has had its CancelledError."""

    @workflow
    async def nested(ctx: Context) -> str:
        async def inner() -> None:
            try:
                await act(ctx, "a", cancellation="request")
            except asyncio.CancelledError:
                async with ctx.disconnected() as cleanup:
                    await act(cleanup, "undo")
                await asyncio.sleep(1)
                raise

        try:
            await asyncio.create_task(inner())
        except asyncio.CancelledError:
            async with ctx.disconnected():
                await asyncio.sleep(1)
            await asyncio.sleep(1)
            return "cleaned"
        return ""

    run = Run(nested, evicting=evicting)
    run.cancel()
    run.fail("a", asyncio.CancelledError(), cancelled=True)  # type: ignore[arg-type]
    run.to_end()
    assert run.result == "cleaned"


def test_a_swallowed_cancel_isnt_repeated(evicting: bool) -> None:
    """W7: asyncio's own meaning."""

    @workflow
    async def swallows(ctx: Context) -> str:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        await asyncio.sleep(5)
        return "went on"

    run = Run(swallows, evicting=evicting)
    run.cancel()
    run.cancel()
    run.wait(5)
    assert run.result == "went on"


def test_plain_timers_work_in_clean_up(evicting: bool) -> None:
    """W2: they belong to no context; a time-out in clean-up is one."""

    @workflow
    async def cleans_up(ctx: Context) -> str:
        try:
            await ctx.sleep(100)
        except asyncio.CancelledError:
            await asyncio.sleep(1)
            try:
                await asyncio.wait_for(asyncio.Event().wait(), 1)
            except TimeoutError:
                return "cleaned"
        return ""

    run = Run(cleans_up, evicting=evicting)
    run.cancel()
    run.to_end()
    assert run.result == "cleaned"


@pytest.mark.parametrize("way", ["group", "gather", "tasks"])
def test_all_activities_under_way_deliver_their_results(way: str, evicting: bool) -> None:
    """W7: nothing that was issued before the cancel is lost, whatever it is awaited through."""

    @workflow
    async def spreads(ctx: Context) -> None:
        results: list[str] = []

        async def one(name: str) -> None:
            results.append(await act(ctx, name))

        try:
            if way == "group":
                async with asyncio.TaskGroup() as group:
                    for name in "abc":
                        group.create_task(one(name))
            elif way == "gather":
                await asyncio.gather(*[one(name) for name in "abc"])
            else:
                for task in [asyncio.create_task(one(name)) for name in "abc"]:
                    await task
        finally:
            ctx.publish("results", results)

    run = Run(spreads, evicting=evicting)
    run.cancel()
    for name in "cab":
        run.complete(name, name.upper())
    assert run.published["results"] == b'["C","A","B"]'
    assert run.end == ("COMPLETED" if way == "tasks" else "CANCELLED")  # one by one, each await is of such a task


def test_a_failed_activity_in_a_group_doesnt_leave_the_workflow_stuck(evicting: bool) -> None:
    """W10, DESIGN 11: the group raises, the workflow fails."""

    @workflow
    async def groups(ctx: Context) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(act(ctx, "a"))
            group.create_task(act(ctx, "b"))
            await act(ctx, "body")

    run = Run(groups, evicting=evicting)
    run.fail("a", ValueError("no"))
    assert run.end == "FAILED"
    assert [each.message for each in run.failure.children] == ["no"]


def test_a_failure_in_a_group_after_the_cancel_is_the_outcome(evicting: bool) -> None:
    """W7, W10: an error says more than the cancel."""

    @workflow
    async def groups(ctx: Context) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(act(ctx, "a"))
            group.create_task(act(ctx, "b"))

    run = Run(groups, evicting=evicting)
    run.cancel()
    run.complete("b")
    run.fail("a", ValueError("no"))
    assert run.end == "FAILED"


def test_tasks_made_after_the_cancel_have_nothing_to_expect_from_it(evicting: bool) -> None:
    """W7: a cancel that reaches them is their own."""

    @workflow
    async def cleans_up(ctx: Context) -> str:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            task = asyncio.create_task(waits(ctx))
            await act(ctx.disconnected(), "a")
            task.cancel()
            await asyncio.wait([task])
            return "cancelled" if task.cancelled() else "not"
        return ""

    async def waits(ctx: Context) -> None:
        await act(ctx.disconnected(), "never done")

    run = Run(cleans_up, evicting=evicting)
    run.cancel()
    run.complete("a")
    assert run.result == "cancelled"
    assert run.kinds().count("ActivityCancelled") == 1


def test_nested_disconnected_blocks_shield_until_the_outermost_ends(evicting: bool) -> None:
    """W7."""

    @workflow
    async def nests(ctx: Context) -> None:
        log: list[str] = []
        try:
            async with ctx.disconnected() as outer:
                async with ctx.disconnected():
                    await asyncio.sleep(1)
                    log.append("inner")
                await asyncio.sleep(1)
                log.append(await act(outer, "outer"))
            log.append("left")
            await asyncio.sleep(1)
            log.append("WRONG")
        finally:
            ctx.publish("log", log)

    run = Run(nests, evicting=evicting)
    run.cancel()
    run.to_end()
    assert run.end == "CANCELLED"
    assert run.published["log"] == b'["inner","OUTER","left"]'


def test_only_a_disconnected_context_is_a_block() -> None:
    """W7: `async with ctx` would shield nothing."""

    @workflow
    async def wrong(ctx: Context) -> str:
        try:
            async with ctx:
                pass
        except ValueError as problem:
            return str(problem)
        return ""

    assert "disconnected" in Run(wrong).result


def test_a_child_of_a_disconnected_context_is_disconnected_and_can_be_cancelled_itself(evicting: bool) -> None:
    """W7, W8."""

    @workflow
    async def cleans_up(ctx: Context) -> list[Any]:
        child, cancel = ctx.disconnected().with_cancel()
        first = await act(child, "a")
        cancel()
        try:
            await act(child, "b")
        except asyncio.CancelledError:
            return [first, ctx.cancelled, child.cancelled, child.disconnected().cancelled]
        return []

    run = Run(cleans_up, evicting=evicting)
    run.cancel()
    run.complete("a", "A")
    assert run.result == ["A", True, True, False]


@pytest.mark.skipif(sys.version_info < (3, 12), reason="3.11's wait_for loses the result: W2, W7")
def test_wait_for_around_an_activity_keeps_its_result(evicting: bool) -> None:
    """W7: from 3.12 on wait_for is a timeout."""

    @workflow
    async def waits(ctx: Context) -> str:
        return str(await asyncio.wait_for(act(ctx, "a"), 50))

    run = Run(waits, evicting=evicting)
    run.cancel()
    run.complete("a", "A")
    assert run.result == "A"


def test_a_runaway_that_is_refused_for_ever_hits_a_limit() -> None:
    """E5: and isn't recorded."""

    @workflow
    async def stubborn(ctx: Context) -> None:
        while True:
            with contextlib.suppress(asyncio.CancelledError):
                await act(ctx, "a")

    run = Run(stubborn, limits=Limits(refused_commands=100))
    before = list(run.history)
    run.cancel()
    with pytest.raises(RunawayWorkflow, match="disconnected"):
        run.complete("a")
    assert run.history[: len(before)] == before


def test_a_cancel_before_the_first_line_still_lets_it_begin() -> None:
    """W7: start and cancel in one claim; what it does first is refused, clean-up works."""

    @workflow
    async def begins(ctx: Context) -> None:
        try:
            await act(ctx, "a")
        finally:
            await act(ctx.disconnected(), "undo")

    run = Run(begins, begin=False)
    from perdure.model.event import CancelRequested

    run.feed(run.started, CancelRequested(at=run.now))
    assert run.scheduled() == ["a"]
    run.complete("a")
    run.complete("undo")
    assert run.end == "COMPLETED"


def test_a_cancel_that_arrives_with_a_signal_isnt_ignored() -> None:
    """W7, DESIGN 11: in one claim, in either order."""
    from perdure.model.event import CancelRequested, SignalReceived

    @workflow
    async def listens(ctx: Context) -> None:
        while True:
            await ctx.signal_channel(go).receive()

    run = Run(listens, begin=False)
    signal, cancel = SignalReceived(at=run.now, name="go", payload=b"null"), CancelRequested(at=run.now)
    for order in ([signal, cancel], [cancel, signal], [signal, cancel, signal]):
        run = Run(listens)
        run.feed(*order)
        assert run.end == "CANCELLED"
        run.assert_replays()


def test_a_cancel_that_arrives_with_a_result_delivers_both(evicting: bool) -> None:
    """W7: whichever is first in order."""
    from perdure.model.event import ActivityCompleted, CancelRequested

    @workflow
    async def steps(ctx: Context) -> None:
        try:
            await act(ctx, "a")
            await act(ctx, "b")
        finally:
            ctx.publish("undone", await act(ctx.disconnected(), "undo"))

    for result_first in (True, False):
        run = Run(steps, evicting=evicting)
        result = ActivityCompleted(at=run.now, number=run.number("a"), result=b'"A"')
        cancel = CancelRequested(at=run.now)
        run.feed(*([result, cancel] if result_first else [cancel, result]))
        del run.activities[1]
        if result_first:
            run.complete("b")
        run.complete("undo", "U")
        assert run.published["undone"] == b'"U"'
        assert run.end == ("COMPLETED" if result_first else "CANCELLED")
