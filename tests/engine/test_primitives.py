"""W2: everything in asyncio that can be deterministic works in a workflow, and replays."""

# ruff: noqa: RUF006 - the workflow loop keeps its tasks

from __future__ import annotations

import asyncio
import contextvars
import gc

import pytest

from perdure.workflows.context import Context
from perdure.workflows.definition import workflow
from tests.engine.harness import Run, act
from tests.engine.samples import SAMPLES, Sample


@pytest.mark.parametrize("name", SAMPLES)
def test_a_primitive_gives_what_asyncio_gives(name: str, evicting: bool) -> None:
    """W2, E3: with the execution in memory and without."""
    sample: Sample = SAMPLES[name]
    run = Run(sample.workflow, evicting=evicting)
    run.to_end()
    assert run.end == "COMPLETED", run.failure
    assert run.result == sample.result


@pytest.mark.parametrize("name", SAMPLES)
def test_every_history_on_the_way_replays(name: str) -> None:
    """E1, E3: cut after any event."""
    run = Run(SAMPLES[name].workflow)
    run.to_end()
    run.assert_replays()


@pytest.mark.parametrize("name", SAMPLES)
def test_in_memory_or_not_makes_no_difference(name: str) -> None:
    """E3: byte for byte."""
    kept, evicted = Run(SAMPLES[name].workflow), Run(SAMPLES[name].workflow, evicting=True)
    kept.to_end()
    evicted.to_end()
    assert kept.history == evicted.history


worker_variable = contextvars.ContextVar("worker_variable", default="default")


def test_the_workers_context_variables_are_invisible() -> None:
    """W2: every execution starts in an empty context."""

    @workflow
    async def looks(ctx: Context) -> list[object]:
        seen: list[object] = [worker_variable.get()]
        worker_variable.set("the workflow's")
        await act(ctx, "a")
        return [*seen, worker_variable.get(), await asyncio.create_task(look())]

    async def look() -> str:
        return worker_variable.get()

    worker_variable.set("the worker's")
    try:
        run = Run(looks)
        assert worker_variable.get() == "the worker's"
        run.to_end()
        other = Run(looks)
        other.to_end()
    finally:
        worker_variable.set("default")
    assert run.result == other.result == ["default", "the workflow's", "the workflow's"]


async def test_a_workflow_runs_inside_the_workers_task() -> None:
    """W2: the worker's loop and task are put aside for the time of a drain, and are there again after it."""

    @workflow
    async def looks(ctx: Context) -> list[bool]:
        task = asyncio.current_task()
        return [task is not outer, asyncio.get_running_loop() is not loop, task in asyncio.all_tasks()]

    loop, outer = asyncio.get_running_loop(), asyncio.current_task()
    assert Run(looks).result == [True, True, True]
    assert asyncio.get_running_loop() is loop
    assert asyncio.current_task() is outer
    await asyncio.sleep(0)


def test_tasks_are_named_by_their_number() -> None:
    """W2: the same names on every replay, whatever else the process runs."""

    @workflow
    async def names(ctx: Context) -> list[str]:
        async def nothing() -> None: ...

        tasks = [asyncio.current_task(), asyncio.create_task(nothing())]
        return [task.get_name() for task in tasks if task is not None]

    assert Run(names).result == Run(names).result
    assert Run(names).result[0] == "main"


def test_asyncio_run_is_refused_as_on_every_running_loop() -> None:
    """W3."""

    @workflow
    async def nests(ctx: Context) -> str:
        coroutine = asyncio.sleep(0)
        try:
            asyncio.run(coroutine)
        except RuntimeError as problem:
            return str(problem)
        finally:
            coroutine.close()
        return ""

    assert "running event loop" in Run(nests).result


def test_a_failed_task_that_nobody_awaits_is_told_once(caplog: pytest.LogCaptureFixture, evicting: bool) -> None:
    """W2: what asyncio would say, with the instance; and never in replay."""

    @workflow
    async def forgets(ctx: Context) -> None:
        async def fail() -> None:
            raise ValueError("forgotten")

        asyncio.create_task(fail())
        await act(ctx, "a")

    run = Run(forgets, evicting=evicting)
    run.complete("a")
    run.replayed()
    [record] = caplog.records
    assert "forgets (test)" in record.getMessage()
    assert record.exc_info is not None
    assert str(record.exc_info[1]) == "forgotten"


def test_a_failed_activity_that_nobody_awaits_is_told_at_once(caplog: pytest.LogCaptureFixture) -> None:
    """W2: no cycle keeps its future alive."""

    @workflow
    async def forgets(ctx: Context) -> None:
        act(ctx, "b")
        await act(ctx, "a")

    gc.disable()
    try:
        run = Run(forgets)
        run.fail("b", KeyError("b"))
    finally:
        gc.enable()
    [record] = caplog.records
    assert "Future exception was never retrieved" in record.getMessage()
    run.evict()
    assert len(caplog.records) == 1


def test_the_loop_answers_what_libraries_ask() -> None:
    """W3: harmless questions of frameworks that run on asyncio."""

    @workflow
    async def asks(ctx: Context) -> list[object]:
        loop = asyncio.get_running_loop()
        await loop.shutdown_asyncgens()
        return [
            loop.is_running(), loop.is_closed(), loop.get_debug(), loop.get_task_factory(), loop.get_exception_handler(),
        ]  # fmt: skip

    assert Run(asks).result == [True, False, False, None, None]


def test_a_task_runs_in_the_empty_context_that_it_was_given() -> None:
    """W2: an empty context is false, and still the one that was asked for."""

    @workflow
    async def gives(ctx: Context) -> list[bool]:
        async def sees() -> bool:
            return variable.get(None) is None

        variable.set("the workflow's")
        fired = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_later(
            1, lambda: fired.set_result(variable.get(None) is None), context=contextvars.Context()
        )
        return [await asyncio.create_task(sees(), context=contextvars.Context()), await fired]

    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")
    run = Run(gives)
    run.to_end()
    assert run.result == [True, True]
