"""W2: async generators run on the workflow's loop alone, also when they are left half-way."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest

from perdure.workflows.context import Context, workflow_context
from perdure.workflows.definition import workflow
from tests.engine.harness import Run, act

LOG: list[str] = []


async def stream(name: str = "stream") -> AsyncIterator[int]:
    """Its clean-up would issue an activity."""
    try:
        for number in range(100):
            yield number
    finally:
        LOG.append(f"{name} closes")
        try:
            await act(workflow_context(), "from the finally")
            LOG.append("WRONG")
        except BaseException as problem:
            LOG.append(type(problem).__name__)
            raise


@workflow
async def abandons(ctx: Context) -> str:
    async for number in stream():
        if number == 2:
            break
    gc.collect()
    return str(await act(ctx, "after"))


@pytest.fixture(autouse=True)
def _empty_log() -> None:
    LOG.clear()


def test_an_abandoned_generator_is_warned_of() -> None:
    """W2: with what to do."""
    with pytest.warns(ResourceWarning, match=r"stream was left.*aclosing"):
        Run(abandons)


@pytest.mark.filterwarnings("ignore:async generator:ResourceWarning")
def test_its_clean_up_waits_for_the_end_and_issues_nothing() -> None:
    """W2: not at the garbage collector's pleasure."""
    run = Run(abandons)
    assert LOG == []
    run.complete("after", "AFTER")
    gc.collect()
    assert LOG == ["stream closes", "Dying"]
    assert run.scheduled() == ["after"]
    assert run.result == "AFTER"


@pytest.mark.filterwarnings("ignore:async generator:ResourceWarning")
def test_its_clean_up_sees_the_workflows_context_variables() -> None:
    """E3: closed in its own context, not in the worker's."""
    Run(abandons).complete("after")
    assert "Dying" in LOG  # workflow_context() was found


@pytest.mark.filterwarnings("ignore:async generator:ResourceWarning")
async def test_the_workers_loop_never_runs_a_workflows_generator() -> None:
    """W2: its hooks are set aside around every drain, and are there again."""
    hooks = sys.get_asyncgen_hooks()
    run = Run(abandons)
    gc.collect()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert LOG == []
    assert sys.get_asyncgen_hooks() == hooks
    run.evict()
    assert LOG == ["stream closes", "Dying"]


def test_a_generator_that_is_dropped_by_an_eviction_is_closed_without_a_warning() -> None:
    """E3: that isn't the workflow's fault."""

    @workflow
    async def iterates(ctx: Context) -> None:
        async for _ in stream():
            await act(ctx, "each")

    run = Run(iterates)
    run.execution.close()
    gc.collect()
    assert LOG == ["stream closes", "Dying"]


def test_aclosing_cleans_up_in_time(evicting: bool) -> None:
    """W2: the advice works; clean-up may issue commands."""

    @workflow
    async def closes(ctx: Context) -> list[str]:
        log: list[str] = []

        async def numbers() -> AsyncIterator[int]:
            try:
                for number in range(3):
                    yield number
            finally:
                log.append(str(await act(ctx, "cleanup")))

        async with contextlib.aclosing(numbers()) as source:  # type: ignore[type-var]
            async for _ in source:
                break
        return [*log, "after"]

    run = Run(closes, evicting=evicting)
    run.to_end()
    assert run.result == ["CLEANUP", "after"]


def test_a_generator_that_ends_by_itself_needs_nothing() -> None:
    """W2: no warning."""

    @workflow
    async def whole(ctx: Context) -> list[int]:
        async def numbers() -> AsyncIterator[int]:
            for number in range(3):
                yield number

        return [number async for number in numbers()]

    assert Run(whole).result == [0, 1, 2]


@pytest.mark.filterwarnings("ignore:async generator:ResourceWarning")
def test_a_generator_that_awaits_while_it_is_closed_is_given_up_after_a_while() -> None:
    """E3: bounded, and nothing unraisable."""

    @workflow
    async def stubborn(ctx: Context) -> None:
        async def never() -> AsyncIterator[int]:
            try:
                yield 1
            finally:
                while True:
                    try:
                        await asyncio.Event().wait()
                    except BaseException:
                        LOG.append("again")

        async for _ in never():
            break
        await act(ctx, "a")

    run = Run(stubborn)
    unraisable: list[Any] = []
    hook, sys.unraisablehook = sys.unraisablehook, unraisable.append
    try:
        run.complete("a")
        gc.collect()
    finally:
        sys.unraisablehook = hook
    assert run.end == "COMPLETED"
    assert 0 < len(LOG) < 100
    assert not unraisable
