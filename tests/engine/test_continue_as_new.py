"""W9: continue_as_new ends the execution and says what the next one begins with."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from perdure.app import App
from perdure.engine.ending import ContinueAsNew
from perdure.errors import ArgumentsError, NonDeterminismError, NotInWorkflow
from perdure.model.checkpoint import NextExecution
from perdure.model.event import ExecutionContinued, ExecutionStarted
from perdure.model.instance import State
from perdure.workflows.context import Context
from perdure.workflows.definition import workflow
from tests.engine.harness import EPOCH, Run, act


@workflow
async def again(ctx: Context, count: int, note: str = "n") -> int:
    await act(ctx, "a")
    if count == 0:
        return ctx.info.execution_number
    ctx.continue_as_new(again, count - 1)


def following(run: Run) -> NextExecution:
    closing = run.checkpoints[-1].closing
    assert closing is not None
    assert closing.state is State.CONTINUED_AS_NEW
    assert closing.following is not None
    return closing.following


def test_the_next_execution_has_its_own_id_and_a_fresh_history(evicting: bool) -> None:
    """W9."""
    run = Run(again, 2, evicting=evicting)
    run.complete("a")
    begun = following(run)
    assert run.end == "CONTINUED_AS_NEW"
    assert isinstance(run.history[-1], ExecutionContinued)
    assert begun.workflow == "again"
    assert begun.started.arguments == b'[1,"n"]'
    assert begun.started.execution_number == 2
    assert begun.execution_id != run.execution_id
    run.assert_replays()


def test_a_chain_runs_to_its_end(evicting: bool) -> None:
    """W9: version and headers go on, executions are counted."""
    run = Run(again, 2, evicting=evicting, begin=False)
    run.feed(
        ExecutionStarted(at=EPOCH, workflow="again", arguments=b"[2]", python="", version="v1", headers={"h": "x"})
    )
    for _ in range(2):
        run.complete("a")
        begun = following(run)
        assert (begun.started.version, begun.started.headers) == ("v1", {"h": "x"})
        run = Run(again, 0, evicting=evicting, begin=False, execution_id=begun.execution_id)
        run.feed(begun.started)
    run.complete("a")
    assert run.result == 3


def test_every_replay_derives_the_same_next_id() -> None:
    """W9: a checkpoint that is tried again asks for the same execution."""
    ids = set()
    for evicting in (False, True):
        run = Run(again, 1, evicting=evicting)
        run.complete("a")
        ids.add(following(run).execution_id)
    assert len(ids) == 1


def test_another_workflow_can_go_on() -> None:
    """W9."""

    @workflow
    async def first(ctx: Context) -> None:
        ctx.continue_as_new(again, 5, note="from first")

    begun = following(Run(first))
    assert (begun.workflow, begun.started.arguments) == ("again", b'[5,"from first"]')


def test_its_arguments_are_checked_where_it_is_called() -> None:
    """A4."""

    @workflow
    async def wrong(ctx: Context) -> str:
        try:
            ctx.continue_as_new(again, "x")  # type: ignore[arg-type]
        except ArgumentsError:
            return "refused"

    assert Run(wrong).result == "refused"


async def forever() -> None:
    await asyncio.Event().wait()


@workflow
async def inside_a_group(ctx: Context) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(forever())
        group.create_task(act(ctx, "in the group"))
        await act(ctx, "a")
        ctx.continue_as_new(again, 1)


@workflow
async def inside_nested_groups(ctx: Context) -> None:
    async with asyncio.TaskGroup() as outer:
        outer.create_task(forever())
        async with asyncio.TaskGroup() as inner:
            inner.create_task(forever())
            await act(ctx, "a")
            ctx.continue_as_new(again, 1)


@workflow
async def inside_a_time_out(ctx: Context) -> None:
    async with asyncio.timeout(5):
        await act(ctx, "a")
        ctx.continue_as_new(again, 1)


@workflow
async def through_except_exception(ctx: Context) -> None:
    try:
        await act(ctx, "a")
        ctx.continue_as_new(again, 1)
    except Exception:
        await forever()


@pytest.mark.parametrize(
    "definition",
    [inside_a_group, inside_nested_groups, inside_a_time_out, through_except_exception],
    ids=lambda each: each.name,
)
def test_it_comes_out_of_blocks(definition: Any, evicting: bool) -> None:
    """W9: a BaseException, unwrapped from groups."""
    run = Run(definition, evicting=evicting)
    run.complete("a")
    assert following(run).workflow == "again"
    run.assert_replays()


def test_a_worse_error_beside_it_in_a_group_fails_the_workflow() -> None:
    """W9, W10: nothing is swept under the carpet."""

    @workflow
    async def both(ctx: Context) -> None:
        async def bad() -> None:
            try:
                await forever()
            finally:
                raise ValueError("worse")

        async with asyncio.TaskGroup() as group:
            group.create_task(bad())
            await act(ctx, "a")
            ctx.continue_as_new(again, 1)

    run = Run(both)
    run.complete("a")
    assert run.end == "FAILED"
    assert {each.type_name for each in run.failure.children} == {"ValueError", "ContinueAsNew"}


def test_another_task_than_main_is_refused(evicting: bool) -> None:
    """W9: with a way out."""

    @workflow
    async def elsewhere(ctx: Context) -> str:
        async def go() -> None:
            ctx.continue_as_new(again, 1)

        task = asyncio.create_task(go())
        try:
            await task
        except NotInWorkflow as problem:
            return str(problem)
        return ""

    assert "main task" in Run(elsewhere, evicting=evicting).result


def test_a_cancelled_context_refuses_it(evicting: bool) -> None:
    """W7, W9: a cancel that came during the last activity isn't lost with the execution."""
    run = Run(again, 5, evicting=evicting)
    run.cancel()
    run.complete("a")
    assert run.end == "CANCELLED"


def test_a_disconnected_context_allows_it_all_the_same(evicting: bool) -> None:
    """W9: who wants to go on after a cancel says so."""

    @workflow
    async def insists(ctx: Context) -> None:
        try:
            await act(ctx, "a")
            await act(ctx, "b")
        except asyncio.CancelledError:
            ctx.disconnected().continue_as_new(again, 1)

    run = Run(insists, evicting=evicting)
    run.cancel()
    run.complete("a")
    assert run.end == "CONTINUED_AS_NEW"


def test_activities_that_were_issued_with_it_are_recorded_and_never_begin() -> None:
    """W10."""

    @workflow
    async def leaves(ctx: Context) -> None:
        act(ctx, "b")
        ctx.schedule_timer(5)
        ctx.continue_as_new(again, 1)

    run = Run(leaves)
    assert run.kinds() == ["ExecutionStarted", "ActivityScheduled", "TimerSet", "ExecutionContinued"]
    assert run.checkpoints[-1].activities == ()
    assert run.checkpoints[-1].next_timer_at is None


def test_it_is_compared_in_replay() -> None:
    """E2: the workflow and its input."""

    def version(target: Any, count: int) -> Any:
        @workflow(name="changed")
        async def changed(ctx: Context) -> None:
            ctx.continue_as_new(target, count)

        return changed

    @workflow
    async def other(ctx: Context, count: int) -> None: ...

    def replay(code: Any) -> None:
        app = App(workflows=[code, again, other])
        Run(code, app=app, begin=False).replay_of(run)

    run = Run(version(again, 1))
    replay(version(again, 1))
    for code in (version(other, 1), version(again, 2)):
        with pytest.raises(NonDeterminismError, match="continue-as-new"):
            replay(code)


def test_it_isnt_an_exception_that_people_catch() -> None:
    """W9."""
    assert not issubclass(ContinueAsNew, Exception)
