"""DESIGN 11: the traps that others fell into and that are the engine's. Named as there; some have a file of their own, too."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from typing import Any

from perdure.engine.limits import Limits
from perdure.model.event import ActivityCompleted, ActivityScheduled, CancelRequested, SignalReceived
from perdure.workflows.context import Context
from perdure.workflows.definition import workflow
from perdure.workflows.signal import Signal
from tests.engine.harness import EPOCH, Run, act

number = Signal("number", int)


def calls_during(function: Any) -> int:
    """How many Python functions were called."""
    counted = 0

    def count(frame: Any, event: str, arg: Any) -> None:
        nonlocal counted
        counted += event == "call"

    sys.setprofile(count)
    try:
        function()
    finally:
        sys.setprofile(None)
    return counted


@workflow
async def side_by_side(ctx: Context, count: int) -> int:
    return len(await asyncio.gather(*[act(ctx, "a") for _ in range(count)]))


def answers(run: Run) -> list[ActivityCompleted]:
    return [ActivityCompleted(at=run.now, number=number, result=b"1") for number in run.activities]


def test_quadratic_command_scans() -> None:
    """4,000 activities side by side cost 4 times as much as 1,000: counted in calls, issued, completed and replayed."""
    for small, large in zip(cost_of(1_000), cost_of(4_000), strict=True):
        assert 3.5 < large / small < 4.5


def cost_of(count: int) -> list[int]:
    """Of issuing so many activities, of completing them, and of the replay."""
    run = Run(side_by_side, count, begin=False)
    begin = calls_during(lambda: run.feed(run.started))
    events = answers(run)
    complete = calls_during(lambda: [run.feed(each) for each in events])
    assert run.result == count
    return [begin, complete, calls_during(run.replayed)]


def test_quadratic_scans_of_timers_and_signals() -> None:
    """The same for 4,000 timers that are cancelled, and 4,000 receivers of one signal."""

    @workflow
    async def timers_and_receivers(ctx: Context, count: int) -> None:
        tasks = [asyncio.create_task(ctx.signal_channel(number).receive()) for _ in range(count)]
        timers = [ctx.schedule_timer(1 + each) for each in range(count)]
        await asyncio.wait(tasks)
        for timer in timers:
            timer.cancel()

    costs = []
    for count in (500, 2_000):
        run = Run(timers_and_receivers, count)
        signals = [SignalReceived(at=run.now, name="number", payload=b"1") for _ in range(count)]
        costs.append(calls_during(lambda run=run, signals=signals: run.feed(*signals)))
        assert run.end == "COMPLETED"
    assert costs[1] / costs[0] < 5


def test_early_signals_delivered_newest_first() -> None:
    """They come in the order in which they were sent."""

    @workflow
    async def late(ctx: Context) -> list[int]:
        await act(ctx, "a")
        return [await ctx.signal_channel(number).receive() for _ in range(5)]

    run = Run(late, begin=False)
    run.feed(run.started, *[SignalReceived(at=EPOCH, name="number", payload=b"%d" % each) for each in range(5)])
    run.complete("a")
    assert run.result == [0, 1, 2, 3, 4]


def test_signals_over_a_buffer_limit_dropped() -> None:
    """There is none."""

    @workflow
    async def late(ctx: Context) -> int:
        await act(ctx, "a")
        return sum([await ctx.signal_channel(number).receive() for _ in range(20_000)])

    run = Run(late)
    run.feed(*[SignalReceived(at=EPOCH, name="number", payload=b"1") for _ in range(20_000)])
    run.complete("a")
    assert run.result == 20_000


def test_a_bad_signal_payload_crashing_the_worker_again_and_again() -> None:
    """Applying it raises nothing; its receive does, in the workflow."""

    @workflow
    async def receives(ctx: Context) -> int:
        return await ctx.signal_channel(number).receive()

    run = Run(receives)
    run.feed(SignalReceived(at=run.now, name="number", payload=b"\xff\xfe"))
    assert (run.end, run.failure.type_name) == ("FAILED", "DecodeError")


def test_signals_lost_at_continue_as_new() -> None:
    """Those that weren't received go with it; those that arrive with the end stay pending."""

    @workflow
    async def again(ctx: Context) -> None:
        await ctx.signal_channel(number).receive()
        ctx.continue_as_new(again)

    run = Run(again)
    checkpoint = run.feed(*[SignalReceived(at=run.now, name="number", payload=b"%d" % each) for each in range(3)])
    assert checkpoint.consumed == (1,)
    assert checkpoint.closing is not None
    assert checkpoint.closing.following is not None
    assert checkpoint.closing.following.started.carried == ()


def test_whole_second_timestamps_changing_now_on_replay() -> None:
    """Microseconds all the way."""

    @workflow
    async def looks(ctx: Context) -> list[int]:
        times = []
        for _ in range(3):
            times.append(ctx.now().microsecond)
            await act(ctx, "a")
        return times

    runs = [Run(looks), Run(looks, evicting=True)]
    for run in runs:
        for _ in range(3):
            run.now += 333_333
            run.complete("a")
    assert runs[0].result == runs[1].result == [0, 333_333, 666_666]


def test_a_cancel_that_arrives_with_a_signal_being_ignored() -> None:
    """In one claim, before, between and after signals."""

    @workflow
    async def listens(ctx: Context) -> None:
        async for _ in ctx.signal_channel(number):
            await ctx.wait_until(lambda: True)

    signal, cancel = SignalReceived(at=EPOCH, name="number", payload=b"1"), CancelRequested(at=EPOCH)
    for place in range(4):
        events: list[Any] = [signal] * 3
        events.insert(place, cancel)
        run = Run(listens)
        run.feed(*events)
        assert run.end == "CANCELLED"


def test_a_failed_activity_in_a_task_group_leaving_the_workflow_stuck() -> None:
    """An ExceptionGroup fails the workflow like any exception."""

    @workflow
    async def groups(ctx: Context) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(act(ctx, "a"))

    run = Run(groups)
    run.fail("a", ValueError("no"))
    assert (run.end, run.failure.type_name) == ("FAILED", "ExceptionGroup")


def test_asyncio_timeout_around_an_activity_not_raising_timeout_error() -> None:
    """It does, at once, and the activity is given up."""

    @workflow
    async def times_out(ctx: Context) -> str:
        try:
            async with asyncio.timeout(1):
                await act(ctx, "a")
        except TimeoutError:
            return "TimeoutError"
        return ""

    run = Run(times_out)
    run.wait(1)
    assert run.result == "TimeoutError"
    assert [each.number for each in run.checkpoints[-1].cancelled_activities] == [2]


def test_finally_blocks_of_evicted_coroutines_issuing_commands() -> None:
    """Not in their own workflow, nor in the one that runs then."""

    @workflow
    async def cleans_up(ctx: Context) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await act(ctx, "from the finally")

    @workflow
    async def bystander(ctx: Context) -> None:
        victims.clear()  # the last reference goes while this one runs
        await act(ctx, "a")

    victims = [Run(cleans_up)]
    victims[0].execution.close()
    run = Run(bystander)
    assert run.scheduled() == ["a"]


def test_a_limit_on_the_history_that_ends_a_workflow_at_ten_thousand_events_for_good() -> None:
    """The default lets it pass; a limit makes it stuck, never failed."""

    @workflow
    async def long(ctx: Context) -> bool:
        channel = ctx.signal_channel(number)
        for _ in range(12_000):
            await channel.receive()
        return ctx.info.continue_as_new_suggested

    run = Run(long)
    run.feed(*[SignalReceived(at=EPOCH, name="number", payload=b"1") for _ in range(12_000)])
    assert run.result is True
    assert Counter(run.kinds())["ContinueSuggested"] == 1
    assert Limits().history_events > 12_000


def test_thousands_of_commands_keep_their_numbers_in_replay() -> None:
    """History and code agree on every one of them."""
    run = Run(side_by_side, 3_000)
    run.replayed()
    assert [each.number for each in run.history if isinstance(each, ActivityScheduled)] == list(range(1, 3_001))
