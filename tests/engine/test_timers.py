"""W2: delays are durable timers: one event when set, one when fired or cancelled, to the microsecond."""

# ruff: noqa: RUF006 - the workflow loop keeps its tasks

from __future__ import annotations

import asyncio
import math
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from perdure.model.event import TimerSet
from perdure.workflows.context import Context
from perdure.workflows.definition import workflow
from tests.engine.harness import EPOCH, Run, act


def sleeping(*delays: float) -> Any:
    @workflow(name="sleeping")
    async def sleeps(ctx: Context) -> None:
        for delay in delays:
            await asyncio.sleep(delay)

    return sleeps


@pytest.mark.parametrize(
    ("delay", "micros"),
    [
        (1, 1_000_000),
        (0.2, 200_000),
        (0.1 + 0.2, 300_000),
        (1e-6, 1),
        (1e-9, 1),
        (0.0000015, 2),
        (86400.000001, 86400000001),
    ],
)
def test_a_delay_is_rounded_to_microseconds(delay: float, micros: int) -> None:
    """W2: and never to nothing."""
    run = Run(sleeping(delay))
    [timer] = [each for each in run.history if isinstance(each, TimerSet)]
    assert timer.due_at == EPOCH + micros


@pytest.mark.parametrize("delay", [0, -1, -math.inf])
def test_no_delay_is_no_timer(delay: float) -> None:
    """W2: sleep(0) lets others run, and that is all."""
    run = Run(sleeping(delay))
    assert run.kinds() == ["ExecutionStarted", "ExecutionCompleted"]


def test_every_way_to_the_same_delay_sets_the_same_timer() -> None:
    """W2: absolute times in floats lose nothing, also long after the start."""

    @workflow
    async def all_ways(ctx: Context) -> None:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(12345678.9)
        loop.call_later(0.2, int)
        loop.call_at(loop.time() + 0.2, int)
        asyncio.create_task(asyncio.wait_for(asyncio.Event().wait(), 0.2))
        ctx.schedule_timer(timedelta(milliseconds=200))
        async with asyncio.timeout(0.2), ctx.timeout(0.2), asyncio.timeout_at(loop.time() + 0.2):
            await act(ctx, "a")

    run = Run(all_ways)
    run.fire()
    dues = {each.due_at for each in run.history if isinstance(each, TimerSet)} - {EPOCH + 12345678_900000}
    assert dues == {run.now + 200_000}
    assert len(run.timers) == 8


def test_a_timer_is_one_event_set_and_one_fired(evicting: bool) -> None:
    """W2."""
    run = Run(sleeping(5), evicting=evicting)
    run.wait(4)
    assert run.end == "running"
    run.wait(1)
    assert run.kinds() == ["ExecutionStarted", "TimerSet", "TimerFired", "ExecutionCompleted"]


def test_a_timer_is_one_event_set_and_one_cancelled(evicting: bool) -> None:
    """W2: an asyncio.timeout that wasn't needed."""

    @workflow
    async def in_time(ctx: Context) -> None:
        async with asyncio.timeout(5):
            await act(ctx, "a")

    run = Run(in_time, evicting=evicting)
    run.complete("a")
    assert run.kinds()[1:] == [
        "TimerSet", "ActivityScheduled", "ActivityCompleted", "TimerCancelled", "ExecutionCompleted",
    ]  # fmt: skip
    assert run.checkpoints[-1].next_timer_at is None


def test_a_timer_that_is_set_and_cancelled_in_one_drain_leaves_no_trace(evicting: bool) -> None:
    """E1: a command and its cancel drop out within one event's drain."""

    @workflow
    async def changes_its_mind(ctx: Context) -> None:
        async with asyncio.timeout(5):
            await asyncio.sleep(0)
        ctx.schedule_timer(5).cancel()
        asyncio.get_running_loop().call_later(5, int).cancel()
        await act(ctx, "a")

    run = Run(changes_its_mind, evicting=evicting)
    run.complete("a")
    assert [kind for kind in run.kinds() if kind.startswith("Timer")] == []
    assert run.history[1].number == 4  # the numbers of what dropped out stay free


def test_but_not_if_another_event_came_between() -> None:
    """E1: within one drain, not within one workflow task."""

    @workflow
    async def in_time(ctx: Context) -> None:
        async with asyncio.timeout(5):
            await asyncio.gather(act(ctx, "a"), act(ctx, "b"))

    run = Run(in_time)
    number = run.number("a")
    from perdure.model.event import ActivityCompleted

    events = [ActivityCompleted(at=run.now, number=each, result=b"1") for each in (number, number + 1)]
    run.feed(*events)
    assert run.kinds()[-4:] == ["ActivityCompleted", "ActivityCompleted", "TimerCancelled", "ExecutionCompleted"]


def test_rescheduling_a_time_out_cancels_one_timer_and_sets_another(evicting: bool) -> None:
    """W2."""

    @workflow
    async def extends(ctx: Context) -> str:
        async with asyncio.timeout(5) as scope:
            await act(ctx, "a")
            scope.reschedule(asyncio.get_running_loop().time() + 5)
            await act(ctx, "b")
        return "in time"

    run = Run(extends, evicting=evicting)
    run.wait(4)
    run.complete("a")
    run.wait(4)
    run.complete("b")
    assert run.result == "in time"
    assert [kind for kind in run.kinds() if kind.startswith("Timer")] == [
        "TimerSet", "TimerCancelled", "TimerSet", "TimerCancelled",
    ]  # fmt: skip


def test_timers_fire_in_the_order_of_their_due_times_then_of_their_numbers(evicting: bool) -> None:
    """E1."""

    @workflow
    async def several(ctx: Context) -> list[str]:
        log: list[str] = []
        loop = asyncio.get_running_loop()
        for delay, name in ((3, "c"), (1, "a"), (2, "b1"), (2, "b2")):
            loop.call_later(delay, log.append, name)
        await asyncio.sleep(4)
        return log

    run = Run(several, evicting=evicting)
    run.wait(10)
    assert run.result == ["a", "b1", "b2", "c"]


def test_loop_time_and_now_are_workflow_time(evicting: bool) -> None:
    """W2, W4: the recorded time of the event that is being applied."""

    @workflow
    async def looks(ctx: Context) -> list[Any]:
        loop, times = asyncio.get_running_loop(), list[Any]()
        for _ in range(2):
            times.append([loop.time(), (ctx.now() - datetime.fromtimestamp(EPOCH / 1e6, UTC)).total_seconds()])
            await act(ctx, "a")
        return [*times, [loop.time(), (ctx.now() - ctx.info.started_at).total_seconds()]]

    run = Run(looks, evicting=evicting)
    run.now += 1_500_000
    run.complete("a")
    run.now += 1
    run.complete("a")
    assert run.result == [[0, 0], [1.5, 1.5], [1.500001, 1.500001]]


def test_time_never_goes_back(evicting: bool) -> None:
    """W4: whatever the store's clock does."""

    @workflow
    async def looks(ctx: Context) -> list[float]:
        times = []
        for _ in range(3):
            times.append(asyncio.get_running_loop().time())
            await act(ctx, "a")
        return times

    run = Run(looks, evicting=evicting)
    run.now += 5_000_000
    run.complete("a")
    run.now -= 4_000_000
    run.complete("a")
    run.complete("a")
    assert run.result == [0, 5, 5]


def test_a_due_timer_goes_before_an_event_that_came_later(evicting: bool) -> None:
    """E1: though both are found by one claim."""

    @workflow
    async def races(ctx: Context) -> str:
        try:
            async with asyncio.timeout(5):
                return str(await act(ctx, "a"))
        except TimeoutError:
            return "timeout"

    late, early = Run(races, evicting=evicting), Run(races, evicting=evicting)
    late.now += 9_000_000
    late.complete("a", "A")  # arrives at 9 s
    early.now += 3_000_000
    from perdure.model.event import ActivityCompleted

    arrived = ActivityCompleted(at=early.now, number=early.number("a"), result=b'"A"')
    early.now += 6_000_000  # claimed at 9 s, arrived at 3 s
    early.feed(arrived)
    assert (late.result, early.result) == ("timeout", "A")


def test_sleeping_for_ever_is_a_timer_that_every_store_holds() -> None:
    """W2: sleep(math.inf) is a common way to wait for a cancel."""
    run = Run(sleeping(math.inf))
    [timer] = [each for each in run.history if isinstance(each, TimerSet)]
    assert timer.due_at < 2**62
    assert datetime.fromtimestamp(timer.due_at / 1e6, UTC).year < 9999
    run.cancel()
    assert run.end == "CANCELLED"


def test_ctx_sleep_and_timeout_take_timedeltas_and_seconds(evicting: bool) -> None:
    """W4."""

    @workflow
    async def both(ctx: Context) -> str:
        await ctx.sleep(timedelta(seconds=2))
        await ctx.sleep(1.5)
        try:
            async with ctx.timeout(timedelta(seconds=1)):
                await ctx.sleep(10)
        except TimeoutError:
            pass
        async with ctx.timeout(None):
            return "done"

    run = Run(both, evicting=evicting)
    run.to_end()
    assert run.result == "done"
    assert run.timers == [2, 3.5, 4.5, 13.5]


def test_the_next_task_is_due_with_the_first_timer() -> None:
    """W2: what the checkpoint tells the store."""

    @workflow
    async def several(ctx: Context) -> None:
        first, second = ctx.schedule_timer(3), ctx.schedule_timer(7)
        await act(ctx, "a")
        first.cancel()
        await second

    run = Run(several)
    assert run.checkpoints[-1].next_timer_at == EPOCH + 3_000_000
    run.complete("a")
    assert run.checkpoints[-1].next_timer_at == EPOCH + 7_000_000
    run.fire()
    assert run.end == "COMPLETED"
