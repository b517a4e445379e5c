"""W4: wait_until waits for a condition over the workflow's own state, and it holds when it returns."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from perdure.workflows.context import Context
from perdure.workflows.definition import workflow
from perdure.workflows.signal import Signal
from tests.engine.harness import Run, act

number = Signal("number", int)


def test_it_waits_until_the_state_says_so(evicting: bool) -> None:
    """W4."""

    @workflow
    async def counts(ctx: Context) -> list[int]:
        seen: list[int] = []

        async def listen() -> None:
            async for value in ctx.signal_channel(number):
                seen.append(value)

        listener = asyncio.create_task(listen())
        await ctx.wait_until(lambda: sum(seen) >= 5)
        listener.cancel()
        return seen

    run = Run(counts, evicting=evicting)
    for value in (1, 2, 3):
        run.signal(number, value)
    assert run.result == [1, 2, 3]


def test_what_is_true_already_doesnt_wait(evicting: bool) -> None:
    """W4: also with a time-out of nothing."""

    @workflow
    async def ready(ctx: Context) -> str:
        await ctx.wait_until(lambda: True)
        await ctx.wait_until(lambda: True, timeout=0)
        await ctx.wait_until(lambda: True, timeout=5)
        return "ready"

    run = Run(ready, evicting=evicting)
    assert run.result == "ready"
    assert run.kinds() == ["ExecutionStarted", "ExecutionCompleted"]


@pytest.mark.parametrize("limit", [5, 5.0, timedelta(seconds=5)])
def test_a_time_out_raises_timeout_error(limit: Any, evicting: bool) -> None:
    """W4: after a durable timer."""

    @workflow
    async def waits(ctx: Context) -> str:
        try:
            await ctx.wait_until(lambda: False, timeout=limit)
        except TimeoutError:
            return "timeout"
        return ""

    run = Run(waits, evicting=evicting)
    run.wait(5)
    assert run.result == "timeout"


def test_a_time_out_of_nothing_raises_without_a_timer() -> None:
    """W4."""

    @workflow
    async def waits(ctx: Context) -> str:
        try:
            await ctx.wait_until(lambda: False, timeout=0)
        except TimeoutError:
            return "timeout"
        return ""

    assert Run(waits).kinds() == ["ExecutionStarted", "ExecutionCompleted"]


def test_two_waiters_for_one_slot_dont_both_get_it(evicting: bool) -> None:
    """W4: the predicate is true when it returns, not only when it woke."""

    @workflow
    async def slots(ctx: Context) -> list[Any]:
        free, log, most = 1, list[str](), 0

        async def work(name: str) -> None:
            nonlocal free, most
            await ctx.wait_until(lambda: free > 0)
            free -= 1
            most = max(most, 1 - free)
            log.append(name)
            await act(ctx, name)
            free += 1

        await asyncio.gather(*[work(name) for name in "abc"])
        return [log, most]

    run = Run(slots, evicting=evicting)
    run.to_end()
    assert run.result == [["a", "b", "c"], 1]


def test_a_condition_that_becomes_true_by_another_waiter_is_seen_in_the_same_drain(evicting: bool) -> None:
    """W4: checked until nothing more happens."""

    @workflow
    async def chain(ctx: Context) -> list[int]:
        done: list[int] = []

        async def link(number: int) -> None:
            await ctx.wait_until(lambda: len(done) == number)
            done.append(number)

        tasks = [asyncio.create_task(link(each)) for each in (3, 2, 1)]
        await act(ctx, "a")
        done.append(0)
        await asyncio.wait(tasks)
        return done

    run = Run(chain, evicting=evicting)
    run.complete("a")
    assert run.result == [0, 1, 2, 3]


def test_a_predicate_that_raises_raises_at_its_waiter_alone(evicting: bool) -> None:
    """W4."""

    @workflow
    async def bad(ctx: Context) -> list[Any]:
        state: dict[str, Any] = {"broken": False}

        async def wait() -> str:
            try:
                await ctx.wait_until(lambda: 1 / 0 if state["broken"] else False)
            except ZeroDivisionError:
                return "raised"
            return ""

        task = asyncio.create_task(wait())
        await act(ctx, "a")
        state["broken"] = True
        return [await task, await act(ctx, "b")]

    run = Run(bad, evicting=evicting)
    run.to_end()
    assert run.result == ["raised", "B"]


def test_a_cancelled_waiter_leaves_its_condition(evicting: bool) -> None:
    """W8."""

    @workflow
    async def cancels(ctx: Context) -> int:
        asked = 0

        def ask() -> bool:
            nonlocal asked
            asked += 1
            return False

        task = asyncio.create_task(ctx.wait_until(ask))
        await act(ctx, "a")
        task.cancel()
        await asyncio.wait([task])
        before = asked
        await act(ctx, "b")
        return asked - before

    run = Run(cancels, evicting=evicting)
    run.to_end()
    assert run.result == 0


def test_the_cancel_of_its_context_ends_it(evicting: bool) -> None:
    """W8: as it does a receive."""

    @workflow
    async def cancels(ctx: Context) -> list[str]:
        child, cancel = ctx.with_cancel()
        log: list[str] = []

        async def wait() -> None:
            for _ in range(2):
                try:
                    await child.wait_until(lambda: False)
                except asyncio.CancelledError:
                    log.append("cancelled")

        task = asyncio.create_task(wait())
        await act(ctx, "a")
        cancel()
        await task
        return log

    run = Run(cancels, evicting=evicting)
    run.complete("a")
    assert run.result == ["cancelled", "cancelled"]


def test_a_predicate_finds_the_context_that_it_was_made_in(evicting: bool) -> None:
    """W2: context variables of the waiting task."""
    import contextvars

    variable = contextvars.ContextVar("variable", default="unset")

    @workflow
    async def looks(ctx: Context) -> str:
        seen: list[str] = []

        async def wait() -> None:
            variable.set("set")
            await ctx.wait_until(look)

        def look() -> bool:
            seen.append(variable.get())
            return len(seen) > 3

        task = asyncio.create_task(wait())
        for _ in range(4):
            await act(ctx, "a")
        await task
        return ",".join(sorted(set(seen)))

    run = Run(looks, evicting=evicting)
    run.to_end()
    assert run.result == "set"
