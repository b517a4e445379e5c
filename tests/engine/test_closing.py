"""E3: an execution leaves memory without its code noticing more than it must, and without a trace."""

# ruff: noqa: RUF006 - the workflow loop keeps its tasks

from __future__ import annotations

import asyncio
import contextvars
import gc
import sys
import warnings
import weakref
from collections.abc import Iterator
from typing import Any

import pytest

from perdure.engine import closing
from perdure.errors import NotInWorkflow
from perdure.workflows.context import Context, workflow_context
from perdure.workflows.definition import workflow
from perdure.workflows.signal import Signal
from tests.engine.harness import Run, act, close_open

LOG: list[Any] = []
variable = contextvars.ContextVar("variable", default="unset")


@pytest.fixture(autouse=True)
def _clean() -> Iterator[None]:
    LOG.clear()
    unraisable: list[Any] = []
    hook, sys.unraisablehook = sys.unraisablehook, unraisable.append
    yield
    gc.collect(1)
    sys.unraisablehook = hook
    assert not unraisable


def test_finally_blocks_see_no_cancelled_error() -> None:
    """E3: nobody has cancelled anything."""

    @workflow
    async def waits(ctx: Context) -> None:
        async def inner() -> None:
            try:
                await asyncio.Event().wait()
            except BaseException as problem:
                LOG.append(type(problem).__name__)
                raise
            finally:
                LOG.append("inner")

        task = asyncio.create_task(inner())
        try:
            async with asyncio.timeout(50):
                await task
        except asyncio.CancelledError:
            LOG.append("WRONG")
        finally:
            LOG.append("main")

    run = Run(waits)
    run.execution.close()
    assert LOG == ["GeneratorExit", "inner", "main"]


@workflow
async def sub(ctx: Context) -> None: ...


COMMANDS: dict[str, Any] = {
    "activity": lambda ctx: act(ctx, "a"),
    "disconnected": lambda ctx: act(ctx.disconnected(), "a"),
    "sub-workflow": lambda ctx: ctx.execute_sub_workflow(sub),
    "timer": lambda ctx: ctx.schedule_timer(1),
    "sleep": lambda ctx: asyncio.sleep(1),
    "signal": lambda ctx: ctx.signal_workflow("other", Signal("s", int), 1),
    "side effect": lambda ctx: ctx.side_effect(LOG.append, "WRONG"),
    "publish": lambda ctx: ctx.publish("k", "WRONG"),
    "create_task": lambda ctx: asyncio.create_task(act(ctx, "a")),
    "time-out": lambda ctx: asyncio.timeout(1).__aenter__(),
    "continue-as-new": lambda ctx: ctx.continue_as_new(sub),
    "receive": lambda ctx: ctx.signal_channel(Signal("s", int)).receive(),
    "wait_until": lambda ctx: ctx.wait_until(lambda: False),
    "gather": lambda ctx: asyncio.gather(act(ctx, "a")),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_dying_execution_issues_no_command(name: str) -> None:
    """E3, DESIGN 11: finally blocks of evicted coroutines."""
    command = COMMANDS[name]

    @workflow
    async def cleans_up(ctx: Context) -> None:
        try:
            await act(ctx, "first")
        finally:
            await command(ctx)
            LOG.append("WRONG")

    run = Run(cleans_up)
    core = run.execution._core
    issued, published = len(core.recorder._entries), core.published
    run.execution.close()
    assert LOG == []
    assert len(core.recorder._entries) == issued
    assert core.published == published
    run.replayed()


@pytest.mark.parametrize("name", COMMANDS)
def test_an_ended_executions_other_tasks_issue_no_command(name: str) -> None:
    """W10: they are closed in the same way."""
    command = COMMANDS[name]

    @workflow
    async def leaves(ctx: Context) -> None:
        async def other() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                await command(ctx)
                LOG.append("WRONG")

        asyncio.create_task(other())
        await act(ctx, "a")

    run = Run(leaves)
    run.complete("a")
    assert LOG == []
    assert run.kinds() == ["ExecutionStarted", "ActivityScheduled", "ActivityCompleted", "ExecutionCompleted"]
    assert run.published == {}


def test_code_is_closed_in_its_own_context() -> None:
    """E3: context variables can be reset, workflow_context is found, the worker's aren't seen."""

    @workflow
    async def waits(ctx: Context) -> None:
        async def inner() -> None:
            token = variable.set("inner's")
            try:
                await asyncio.Event().wait()
            finally:
                LOG.append((variable.get(), workflow_context() is ctx))
                variable.reset(token)

        task = asyncio.create_task(inner())
        try:
            await task
        finally:
            LOG.append((variable.get(), workflow_context() is ctx))

    run = Run(waits)
    token = variable.set("the worker's")
    run.execution.close()
    variable.reset(token)
    assert LOG == [("inner's", True), ("unset", True)]


def test_tasks_are_closed_newest_first() -> None:
    """E3: children before what awaits them."""

    @workflow
    async def nests(ctx: Context) -> None:
        async def level(depth: int) -> None:
            try:
                if depth:
                    async with asyncio.TaskGroup() as group:
                        group.create_task(level(depth - 1))
                else:
                    await asyncio.Event().wait()
            finally:
                LOG.append(depth)

        await level(3)

    Run(nests).execution.close()
    assert LOG == [0, 1, 2, 3]


def test_a_task_that_never_began_is_closed_without_a_warning() -> None:
    """E3: "coroutine was never awaited" isn't the user's fault here."""

    @workflow
    async def ends(ctx: Context) -> None:
        asyncio.create_task(asyncio.sleep(1))
        asyncio.create_task(act(ctx, "a"))

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Run(ends)
        gc.collect()


def test_an_await_in_a_finally_is_closed_too() -> None:
    """E3: as often as it takes, within bounds."""

    @workflow
    async def lingers(ctx: Context) -> None:
        try:
            await act(ctx, "a")
        finally:
            for number in range(10):
                try:
                    await asyncio.Event().wait()
                finally:
                    LOG.append(number)

    Run(lingers).execution.close()
    assert LOG == [0]


def test_code_that_swallows_everything_is_kept_with_a_warning() -> None:
    """E3: bounded, and the garbage collector never sees it."""

    tries: list[int] = []
    gives_up: list[bool] = []  # so that it can be collected after the test

    @workflow
    async def swallows(ctx: Context) -> None:
        while True:
            try:
                await act(ctx, "a")
            except BaseException:
                tries.append(1)
                if gives_up:
                    raise

    run = Run(swallows)
    kept = len(closing._undead)
    with pytest.warns(ResourceWarning, match="swallows.* GeneratorExit"):
        run.execution.close()
    assert 0 < len(tries) < 200
    assert len(closing._undead) == kept + 1
    gives_up.append(True)
    closing._undead.clear()


def test_closing_twice_is_once() -> None:
    """E3."""

    @workflow
    async def waits(ctx: Context) -> None:
        try:
            await act(ctx, "a")
        finally:
            LOG.append("closed")

    run = Run(waits)
    run.execution.close()
    run.execution.close()
    assert LOG == ["closed"]


def test_an_error_in_a_finally_stays_there() -> None:
    """E3: nobody is told but the debug log."""

    @workflow
    async def waits(ctx: Context) -> None:
        try:
            await act(ctx, "a")
        finally:
            raise ValueError("from the finally")

    Run(waits).execution.close()


def test_no_new_tasks_begin_while_it_dies() -> None:
    """E3: a coroutine that is handed over is closed."""

    @workflow
    async def waits(ctx: Context) -> None:
        async def more() -> None:
            LOG.append("WRONG")

        try:
            await act(ctx, "a")
        finally:
            try:
                asyncio.create_task(more())
            except NotInWorkflow:
                LOG.append("refused")

    Run(waits).execution.close()
    gc.collect()
    assert LOG == ["refused"]


@pytest.mark.parametrize("ending", ["closed", "ended", "failed replay"])
def test_nothing_of_it_stays_in_memory(ending: str) -> None:
    """E3: tasks, futures, core, contexts."""

    @workflow
    async def waits(ctx: Context) -> None:
        child, _ = ctx.with_cancel()
        tasks = [asyncio.create_task(child.sleep(9)), asyncio.create_task(act(child, "b", cancellation="request"))]
        async with asyncio.timeout(50):
            await act(ctx, "a")
        LOG.extend(weakref.ref(each) for each in tasks)

    run = Run(waits)
    refs: list[Any] = [weakref.ref(run.execution._core), weakref.ref(run.execution._core.main)]
    refs.append(weakref.ref(run.execution._core.loop))
    if ending == "ended":
        run.complete("a")
        refs += LOG
    elif ending == "closed":
        run.execution.close()
    else:
        run.execution.close()
        with pytest.raises(Exception, match="repeat its history"):
            run.replayed(sub)
    LOG.clear()
    close_open()
    del run
    gc.collect()
    assert [ref() for ref in refs] == [None] * len(refs)


async def test_an_execution_can_be_closed_on_the_workers_loop() -> None:
    """E3: on the owning thread, whatever runs there."""

    @workflow
    async def waits(ctx: Context) -> None:
        try:
            await act(ctx, "a")
        finally:
            LOG.append(asyncio.get_running_loop() is not outer)

    outer, task = asyncio.get_running_loop(), asyncio.current_task()
    Run(waits).execution.close()
    assert LOG == [True]
    assert asyncio.current_task() is task


def test_ten_evictions_in_a_row_give_the_same_state(evicting: bool) -> None:
    """E3."""

    @workflow
    async def counts(ctx: Context) -> list[Any]:
        results = []
        for number in range(10):
            results.append([await act(ctx, str(number)), ctx.random.random()])
        return results

    run = Run(counts, evicting=evicting)
    for number in range(10):
        for _ in range(number % 3):
            run.evict()
        run.complete(str(number))
    twin = Run(counts)
    twin.to_end([None] * 10)
    assert run.result == twin.result
