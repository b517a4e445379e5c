"""W7, W8: what each way of cancelling does to an activity under way, by its `cancellation=`; ARCHITECTURE.md shows the table."""

from __future__ import annotations

import asyncio
from typing import Any, NamedTuple

import pytest

from perdure.workflows.context import Context
from perdure.workflows.definition import workflow
from tests.engine.harness import Run, act


class Row(NamedTuple):
    """What happens at the cancel, and what the await gives later."""

    at_once: str
    """The await "raises" CancelledError (TimeoutError out of a time-out), or "waits"."""
    store: str
    """The activity is left alone ("nothing"), its result will be "dropped", or its worker is "told"."""
    result: str
    """The await's outcome if the activity then completes with a result."""
    cancelled: str
    """The await's outcome if the activity then ends cancelled."""


RAISES_DROPS = Row("raises", "dropped", "-", "-")
RAISES_TELLS = Row("raises", "told", "-", "-")
LEFT_ALONE = Row("waits", "nothing", "result", "ActivityError")
TOLD = Row("waits", "told", "result", "CancelledError")

TABLE = {
    #                    cancellation="wait"  "request"     "abandon"
    "future.cancel()": (RAISES_DROPS, RAISES_TELLS, RAISES_DROPS),
    "task.cancel()": (RAISES_DROPS, RAISES_TELLS, RAISES_DROPS),
    "asyncio.timeout": (RAISES_DROPS, RAISES_TELLS, RAISES_DROPS),
    "with_cancel": (LEFT_ALONE, TOLD, RAISES_DROPS),
    "instance cancel": (LEFT_ALONE, TOLD, RAISES_DROPS),
    "disconnected, instance cancel": (LEFT_ALONE, LEFT_ALONE, LEFT_ALONE),
}
CELLS = [
    pytest.param(way, option, row, id=f"{way}-{option}")
    for way, rows in TABLE.items()
    for option, row in zip(("wait", "request", "abandon"), rows, strict=True)
]


@workflow
async def cancels(ctx: Context, way: str, option: str) -> str:
    """Awaits activity `a` in a task; the end of activity `go` says when to cancel."""
    inner, cancel_inner = ctx.with_cancel() if way == "with_cancel" else (ctx, None)
    if way.startswith("disconnected"):
        inner = ctx.disconnected()
    future = act(inner, "a", cancellation=option)

    async def wait() -> str:
        try:
            async with asyncio.timeout(5 if way == "asyncio.timeout" else None):
                return str(await future)
        except TimeoutError:
            return "raises"

    task = asyncio.create_task(wait())
    await act(ctx.disconnected(), "go")
    if cancel_inner is not None:
        cancel_inner()
    elif way == "future.cancel()":
        future.cancel()
    elif way == "task.cancel()":
        task.cancel()
    try:
        return await task
    except asyncio.CancelledError:
        return "raises"
    except Exception as problem:
        return type(problem).__name__


def cancelled_by(way: str, option: str, *, evicting: bool = False) -> Run:
    run = Run(cancels, way, option, evicting=evicting)
    run.complete("go")
    if way.endswith("instance cancel"):
        run.cancel()
    elif way == "asyncio.timeout":
        run.wait(5)
    return run


def store_of(run: Run) -> str:
    """What the checkpoints told the store about activity `a`."""
    cancels = [each for checkpoint in run.checkpoints for each in checkpoint.cancelled_activities]
    assert len(cancels) <= 1
    if not cancels:
        return "nothing"
    return "told" if cancels[0].told else "dropped"


@pytest.mark.parametrize(("way", "option", "row"), CELLS)
def test_the_table_holds_at_the_cancel(way: str, option: str, row: Row, evicting: bool) -> None:
    """W7, W8: what the await does at once, and what the store is told."""
    run = cancelled_by(way, option, evicting=evicting)
    assert store_of(run) == row.store
    if row.at_once == "raises":
        assert run.result == "raises"
    else:
        assert run.end == "running"


@pytest.mark.parametrize(
    ("way", "option", "row"), [cell for cell in CELLS if LEFT_ALONE in cell.values or TOLD in cell.values]
)
def test_the_table_holds_at_the_activitys_end(way: str, option: str, row: Row, evicting: bool) -> None:
    """W7: a result counts; an end by CancelledError is one only if we asked for it."""
    completed, stopped = (cancelled_by(way, option, evicting=evicting) for _ in range(2))
    completed.complete("a", "result")
    stopped.fail("a", asyncio.CancelledError("stopped"), cancelled=True)  # type: ignore[arg-type]
    outcomes = {"raises": "CancelledError"}
    assert completed.result == row.result
    assert outcomes.get(stopped.result, stopped.result) == row.cancelled
    for run in (completed, stopped):
        run.assert_replays()


@pytest.mark.parametrize("option", ["wait", "request", "abandon"])
def test_a_failure_is_a_failure_whatever_was_asked(option: str, evicting: bool) -> None:
    """W7: its await gives how it ended."""
    run = cancelled_by("with_cancel", option, evicting=evicting)
    if option != "abandon":
        run.fail("a", ValueError("failed"))
        assert run.result == "ValueError"


@pytest.mark.parametrize("option", ["wait", "request", "abandon"])
def test_a_time_out_after_the_instances_cancel_is_obeyed_at_once(option: str, evicting: bool) -> None:
    """W7: the second cancel() that reaches an activity."""

    @workflow
    async def times_out(ctx: Context) -> None:
        try:
            async with asyncio.timeout(5):
                await act(ctx, "a", cancellation=option)
        except TimeoutError:
            await act(ctx.disconnected(), "undo")
            raise

    run = Run(times_out, evicting=evicting)
    run.cancel()
    if option == "abandon":
        assert run.end == "CANCELLED"
        return
    run.wait(5)
    assert run.scheduled()[-1] == "undo"
    assert store_of(run) == ("told" if option == "request" else "dropped")
    run.complete("undo")
    assert run.end == "FAILED"


def test_an_activity_that_is_told_and_then_given_up_is_recorded_once(evicting: bool) -> None:
    """W8: the engine records at most one cancel."""

    @workflow
    async def twice(ctx: Context) -> None:
        child, cancel = ctx.with_cancel()
        future = act(child, "a", cancellation="request")
        await act(ctx, "go")
        cancel()
        cancel()
        await act(ctx, "go")
        future.cancel()
        future.cancel()
        await act(ctx, "go")

    run = Run(twice, evicting=evicting)
    for _ in range(3):
        run.complete("go")
    assert run.kinds().count("ActivityCancelled") == 1
    assert run.end == "COMPLETED"


def test_an_activity_that_is_asked_to_stop_in_the_drain_that_issues_it_is_started_and_told(evicting: bool) -> None:
    """W7: whoever waits gets an answer; the store ends one that no worker has."""

    @workflow
    async def at_once(ctx: Context) -> str:
        child, cancel = ctx.with_cancel()
        future = act(child, "a", cancellation="request")
        cancel()
        try:
            return str(await future)
        except asyncio.CancelledError:
            return "cancelled"

    run = Run(at_once, evicting=evicting)
    [checkpoint] = run.checkpoints
    assert [each.number for each in checkpoint.activities] == [1]
    assert [(each.number, each.told) for each in checkpoint.cancelled_activities] == [(1, True)]
    run.fail("a", asyncio.CancelledError(), cancelled=True)  # type: ignore[arg-type]
    assert run.result == "cancelled"


def test_an_activity_that_ended_cancelled_without_our_cancel_is_an_activity_error(evicting: bool) -> None:
    """W7: a TaskGroup would take CancelledError for success."""

    @workflow
    async def groups(ctx: Context) -> str:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(act(ctx, "a", cancellation="request"))
        except ExceptionGroup as problems:
            return ",".join(type(each).__name__ for each in problems.exceptions)
        return "success"

    run = Run(groups, evicting=evicting)
    run.fail("a", asyncio.CancelledError("by its worker"), cancelled=True)  # type: ignore[arg-type]
    assert run.result == "ActivityError"


def test_the_end_of_what_was_given_up_and_told_still_comes_and_is_dropped(evicting: bool) -> None:
    """W8: of a running activity with cancellation="request"."""

    @workflow
    async def gives_up(ctx: Context) -> str:
        future: Any = act(ctx, "a", cancellation="request")
        await act(ctx, "go")
        future.cancel()
        return str(await act(ctx, "after"))

    run = Run(gives_up, evicting=evicting)
    run.complete("go")
    run.fail("a", asyncio.CancelledError(), cancelled=True)  # type: ignore[arg-type]
    run.complete("after", "A")
    assert run.result == "A"
