"""W8: ctx.with_cancel cancels a child context; no task is cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from perdure.model.checkpoint import SendCancel
from perdure.workflows.context import Context
from perdure.workflows.definition import workflow
from perdure.workflows.signal import Signal
from tests.engine.harness import Run, act

number = Signal("number", int)


@workflow
async def sub(ctx: Context) -> str:
    return ""


async def outcome(awaitable: Any) -> str:
    try:
        return str(await awaitable)
    except asyncio.CancelledError:
        task = asyncio.current_task()
        assert task is not None
        return f"cancelled {task.cancelling()}"


def test_what_it_cancels_and_what_it_leaves_alone(evicting: bool) -> None:
    """W8: timers and receives raise, sub-workflows are asked, activities finish, plain primitives go on."""

    @workflow
    async def cancels(ctx: Context) -> dict[str, str]:
        child, cancel = ctx.with_cancel()
        waits = {
            "timer": child.schedule_timer(100),
            "sleep": child.sleep(100),
            "receive": child.signal_channel(number).receive(),
            "activity": act(child, "a"),
            "sub-workflow": child.execute_sub_workflow(sub),
            "plain sleep": asyncio.sleep(9, "slept"),
            "time-out": timed(child),
            "the parent's timer": ctx.schedule_timer(9),
        }
        tasks = {name: asyncio.create_task(outcome(wait)) for name, wait in waits.items()}
        await act(ctx, "go")
        cancel()
        return {name: await task for name, task in tasks.items()}

    async def timed(child: Context) -> str:
        try:
            async with child.timeout(9):
                await asyncio.Event().wait()
        except TimeoutError:
            return "timed out"
        return ""

    run = Run(cancels, evicting=evicting)
    run.complete("go")
    messages = [each for checkpoint in run.checkpoints for each in checkpoint.messages]
    assert sum(isinstance(each, SendCancel) for each in messages) == 1
    assert not any(checkpoint.cancelled_activities for checkpoint in run.checkpoints)
    run.wait(9)
    run.complete("a", "A")
    run.complete_child(next(iter(run.children)), "S")
    assert run.result == {
        "timer": "cancelled 0",
        "sleep": "cancelled 0",
        "receive": "cancelled 0",
        "activity": "A",
        "sub-workflow": "S",
        "plain sleep": "slept",
        "time-out": "timed out",
        "the parent's timer": "None",
    }


def test_a_cancelled_child_refuses_every_new_command_and_records_nothing(evicting: bool) -> None:
    """W8: while the parent goes on."""

    @workflow
    async def refuses(ctx: Context) -> list[Any]:
        child, cancel = ctx.with_cancel()
        cancel()
        calls: list[Callable[[], Any]] = [
            lambda: act(child, "a"),
            lambda: child.execute_sub_workflow(sub),
            lambda: child.schedule_timer(1),
            lambda: child.signal_workflow("other", number, 1),
            lambda: child.side_effect(int),
            lambda: child.signal_channel(number).receive(),
            lambda: child.wait_until(lambda: False),
            lambda: child.sleep(1),
        ]
        refused = 0
        for call in calls:
            try:
                await call()
            except asyncio.CancelledError:
                refused += 1
        return [refused, len(calls), await act(ctx, "parent's")]

    run = Run(refuses, evicting=evicting)
    run.to_end()
    assert run.result == [8, 8, "PARENT'S"]
    assert run.scheduled() == ["parent's"]
    assert len(run.history) == 4


def test_what_is_there_already_can_still_be_received() -> None:
    """W5, W8: a signal isn't lost to a cancelled context."""

    @workflow
    async def receives(ctx: Context) -> int:
        await act(ctx, "a")
        child, cancel = ctx.with_cancel()
        cancel()
        return await child.signal_channel(number).receive()

    run = Run(receives)
    run.signal(number, 5)
    run.complete("a")
    assert run.result == 5


def test_it_reaches_children_of_children_but_not_disconnected_ones(evicting: bool) -> None:
    """W8."""

    @workflow
    async def nests(ctx: Context) -> list[Any]:
        child, cancel = ctx.with_cancel()
        grandchild, _ = child.with_cancel()
        free = child.disconnected()
        timers = [grandchild.schedule_timer(50), free.schedule_timer(5)]
        tasks = [asyncio.create_task(outcome(timer)) for timer in timers]
        await act(ctx, "go")
        cancel()
        return [child.cancelled, grandchild.cancelled, free.cancelled, ctx.cancelled, *[await task for task in tasks]]

    run = Run(nests, evicting=evicting)
    run.complete("go")
    run.wait(5)
    assert run.result == [True, True, False, False, "cancelled 0", "None"]


def test_a_grandchild_made_after_the_cancel_is_cancelled_too() -> None:
    """W8."""

    @workflow
    async def nests(ctx: Context) -> bool:
        child, cancel = ctx.with_cancel()
        cancel()
        return child.with_cancel()[0].cancelled

    assert Run(nests).result is True


def test_cancelling_twice_or_after_the_end_changes_nothing(evicting: bool) -> None:
    """W8."""

    @workflow
    async def twice(ctx: Context) -> str:
        child, cancel = ctx.with_cancel()
        timer = child.schedule_timer(1)
        await timer
        cancel()
        cancel()
        return str(await act(ctx, "a"))

    run = Run(twice, evicting=evicting)
    run.to_end()
    assert run.result == "A"
    assert "TimerCancelled" not in run.kinds()


def test_the_instances_cancel_marks_the_child_as_well(evicting: bool) -> None:
    """W7."""

    @workflow
    async def looks(ctx: Context) -> list[bool]:
        child, _ = ctx.with_cancel()
        try:
            await child.sleep(100)
        except asyncio.CancelledError:
            return [ctx.cancelled, child.cancelled, ctx.disconnected().cancelled]
        return []

    run = Run(looks, evicting=evicting)
    run.cancel()
    assert run.result == [True, True, False]


def test_contexts_that_are_done_with_hold_nothing() -> None:
    """W8: what has ended leaves its context."""

    @workflow
    async def uses(ctx: Context) -> int:
        child, _ = ctx.with_cancel()
        for _ in range(3):
            await child.sleep(1)
            await act(child, "a", cancellation="request")
            child.schedule_timer(1).cancel()
            await child.wait_until(lambda: True)
        return len(child._open or ())

    run = Run(uses)
    run.to_end()
    assert run.result == 0
