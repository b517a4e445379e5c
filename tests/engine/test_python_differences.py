"""W2: where asyncio itself differs between Pythons, so that a history that goes there doesn't replay on the others.

Found by replaying some thousands of random programs (programs.py), recorded on each Python, on each other one. Everything else
in them replayed. The linter names what it can see of these; each divergence is E4's: stuck, nothing lost, until the Python of
the history is back.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from perdure.workflows.context import Context
from perdure.workflows.definition import workflow
from tests.engine.harness import Run, act

VERSION = sys.version_info[:2]


def test_wait_for_loses_a_result_to_a_cancel_on_3_11() -> None:
    """3.11's wait_for awaits a waiter of its own: it waits for the activity behind it, and raises all the same."""

    @workflow
    async def waits(ctx: Context) -> Any:
        return await asyncio.wait_for(act(ctx, "a"), 50)

    run = Run(waits)
    run.cancel()
    run.complete("a")
    assert run.end == ("CANCELLED" if VERSION < (3, 12) else "COMPLETED")


def test_a_group_that_fails_while_its_parent_was_cancelled_keeps_the_cancel_from_3_13_on() -> None:
    """Before, catching the group's errors swallows the cancel with them (cpython gh-116720)."""

    @workflow
    async def catches(ctx: Context) -> str:
        async def fail() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                raise ValueError

        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(fail())
        except* ValueError:
            pass
        await asyncio.sleep(5)
        return "went on"

    run = Run(catches)
    run.cancel()
    assert run.end == ("running" if VERSION < (3, 13) else "CANCELLED")


def test_a_future_that_an_aborting_group_refuses_is_closed_from_3_13_on() -> None:
    """Before, the activity stays scheduled, and nobody waits for it."""

    @workflow
    async def aborts(ctx: Context) -> None:
        async def late(group: asyncio.TaskGroup) -> None:
            try:
                await asyncio.Event().wait()
            finally:
                group.create_task(act(ctx, "late"))

        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(late(group))
                await act(ctx, "a")
                raise ValueError
        except* (ValueError, RuntimeError):
            pass

    run = Run(aborts)
    run.complete("a")
    assert run.scheduled() == (["a", "late"] if VERSION < (3, 13) else ["a"])


def test_as_completed_gives_the_tasks_themselves_from_3_13_on() -> None:
    """`async for` and the tasks as keys are new there; the for-loop's order is the same on all."""

    @workflow
    async def completes(ctx: Context) -> bool:
        iterator = asyncio.as_completed([asyncio.create_task(asyncio.sleep(0))])
        for nearest in iterator:
            await nearest
        return hasattr(iterator, "__aiter__")

    assert Run(completes).result is (VERSION >= (3, 13))
