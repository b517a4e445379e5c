"""E5, E6: runaways hit a limit, and so do histories; nothing of what went over is kept."""

# ruff: noqa: RUF006 - the workflow loop keeps its tasks

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

import pytest

from perdure.engine.limits import Limits
from perdure.errors import HistoryTooLong, NonDeterminismError, RunawayWorkflow
from perdure.model.event import ActivityCompleted
from perdure.model.transition import Checkpointed
from perdure.workflows.context import Context
from perdure.workflows.definition import workflow
from perdure.workflows.signal import Signal
from tests.engine.harness import Run, act

SMALL = Limits(drain_steps=1000, drain_commands=100)


@workflow
async def sub(ctx: Context) -> None: ...


RUNAWAYS: dict[str, Callable[[Context], Any]] = {
    "activities": lambda ctx: act(ctx, "a"),
    "activities, cancelled": lambda ctx: act(ctx, "a").cancel(),
    "timers": lambda ctx: ctx.schedule_timer(1),
    "loop timers": lambda ctx: asyncio.get_running_loop().call_later(1, int),
    "sub-workflows": lambda ctx: ctx.execute_sub_workflow(sub),
    "signals": lambda ctx: ctx.signal_workflow("other", Signal("s", int), 1),
    "side effects": lambda ctx: ctx.side_effect(int),
}


@pytest.mark.parametrize("name", RUNAWAYS)
def test_code_that_issues_commands_for_ever_without_an_await_hits_a_limit(name: str) -> None:
    """E5: it is ended from inside, though it would never give up the thread."""

    @workflow
    async def runs_away(ctx: Context) -> None:
        await act(ctx, "first")
        while True:
            with contextlib.suppress(Exception):
                RUNAWAYS[name](ctx)

    run = Run(runs_away, limits=SMALL)
    before = list(run.history)
    with pytest.raises(RunawayWorkflow, match="100 commands"):
        run.complete("first")
    run.execution.close()
    assert run.history == before


def test_code_that_runs_for_ever_with_awaits_hits_a_limit() -> None:
    """E5: sleep(0) and queues give up the step, not the drain."""

    @workflow
    async def spins(ctx: Context) -> None:
        while True:
            await asyncio.sleep(0)

    run = Run(spins, limits=SMALL, begin=False)
    with pytest.raises(RunawayWorkflow, match=r"1,000 steps.*sleep\(0\)"):
        run.feed(run.started)


def test_a_runaway_in_another_task_hits_the_limit_too() -> None:
    """E5."""

    @workflow
    async def spins(ctx: Context) -> None:
        async def spin() -> None:
            while True:
                act(ctx, "a")
                await asyncio.sleep(0)

        asyncio.create_task(spin())
        await asyncio.Event().wait()

    run = Run(spins, limits=SMALL, begin=False)
    with pytest.raises(RunawayWorkflow):
        run.feed(run.started)


def test_a_predicate_that_never_settles_hits_the_limit() -> None:
    """E5: two waiters that wake each other."""

    @workflow
    async def ping_pong(ctx: Context) -> None:
        turn = [0]

        async def play(mine: int) -> None:
            while True:
                await ctx.wait_until(lambda: turn[0] == mine)
                turn[0] = 1 - mine

        asyncio.create_task(play(0))
        await play(1)

    run = Run(ping_pong, limits=SMALL, begin=False)
    with pytest.raises(RunawayWorkflow):
        run.feed(run.started)


def test_a_replay_that_has_become_a_runaway_is_stopped() -> None:
    """E5: new code on an old history."""

    def version(is_new: bool) -> Any:
        @workflow(name="changed")
        async def changed(ctx: Context) -> None:
            while is_new:
                act(ctx, "a")
            await act(ctx, "a")

        return changed

    run = Run(version(False), limits=SMALL)
    with pytest.raises((RunawayWorkflow, NonDeterminismError)):
        run.replayed(version(True))


def test_many_commands_below_the_limit_are_no_runaway() -> None:
    """E5."""

    @workflow
    async def many(ctx: Context) -> int:
        return len(await asyncio.gather(*[ctx.side_effect(int) for _ in range(100)]))

    assert Run(many, limits=SMALL).result == 100


@workflow
async def long(ctx: Context) -> None:
    while True:
        await act(ctx, "a")


def test_past_its_limit_a_history_takes_no_event_and_says_what_to_do() -> None:
    """E6: stuck, not ended; DESIGN 11."""
    run = Run(long, limits=Limits(history_events=20))
    with pytest.raises(HistoryTooLong, match=r"20 events.*raise the worker's limits.*continue_as_new"):
        run.to_end()
    assert len(run.history) == 20
    assert run.end == "running"


def test_it_goes_on_when_the_limit_is_raised() -> None:
    """E6."""
    run = Run(long, limits=Limits(history_events=20))
    with pytest.raises(HistoryTooLong):
        run.to_end()
    run.limits = Limits(history_events=40)
    run.evict()
    run.feed(ActivityCompleted(at=run.now, number=10, result=b"1"))
    assert len(run.history) == 22


def test_bytes_are_limited_as_events_are() -> None:
    """E6: by what the store says that they take."""
    run = Run(long, limits=Limits(history_bytes=100))
    run.execution.committed(Checkpointed(events_bytes=99))
    run.complete("a")
    run.execution.committed(Checkpointed(events_bytes=1))
    with pytest.raises(HistoryTooLong, match="100 bytes"):
        run.complete("a")


def test_a_history_over_the_limit_still_replays() -> None:
    """E6: an operator must be able to look at it, and terminate or resume it."""
    run = Run(long)
    for _ in range(20):
        run.complete("a")
    run.limits = Limits(history_events=10, warn_events=5)
    run.assert_replays()
