"""W7: the instance's cancel, case by case, with the cancel at every possible moment, evicted after each event or not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

import pytest

from perdure.workflows.context import Context
from perdure.workflows.definition import Workflow, workflow
from tests.engine.harness import Run, act

CANCEL, FIRE = "CANCEL", "FIRE"

LOG: list[str] = []
"""What the workflow has done; replay does it again from an empty one."""


@dataclass(frozen=True)
class Case:
    title: str
    workflow: Workflow[[], Any]
    steps: tuple[str, ...]
    end: str
    log: list[str]


CASES: list[Case] = []


def case(
    title: str, *steps: str, end: str = "CANCELLED", log: list[str]
) -> Callable[[Callable[[Context, list[str]], Coroutine[Any, Any, Any]]], None]:
    def add(body: Callable[[Context, list[str]], Coroutine[Any, Any, Any]]) -> None:
        @workflow(name="case")
        async def run(ctx: Context) -> None:
            LOG.clear()
            await body(ctx, LOG)

        CASES.append(Case(title, run, steps, end, log))

    return add


@case("the result is delivered, the next one skipped, clean-up in except", CANCEL, "a", "undo", log=["A", "UNDO"])
async def _(ctx: Context, log: list[str]) -> None:
    try:
        log.append(await act(ctx, "a"))
        await act(ctx, "b")
    except asyncio.CancelledError:
        log.append(await act(ctx.disconnected(), "undo"))
        raise


@case("the same with finally", CANCEL, "a", "undo", log=["A", "UNDO"])
async def _(ctx: Context, log: list[str]) -> None:
    try:
        log.append(await act(ctx, "a"))
        await act(ctx, "b")
    finally:
        log.append(await act(ctx.disconnected(), "undo"))


@case("the same through an awaited task", CANCEL, "a", "undo", log=["A", "UNDO"])
async def _(ctx: Context, log: list[str]) -> None:
    async def one() -> None:
        log.append(await act(ctx, "a"))
        await act(ctx, "b")

    try:
        await asyncio.create_task(one())
    except asyncio.CancelledError:
        log.append(await act(ctx.disconnected(), "undo"))
        raise


@case("then a plain sleep", CANCEL, "a", log=["A"])
async def _(ctx: Context, log: list[str]) -> None:
    log.append(await act(ctx, "a"))
    await asyncio.sleep(9)
    log.append("WRONG")


@case("an awaited task, then an Event", CANCEL, "a", log=["A"])
async def _(ctx: Context, log: list[str]) -> None:
    async def one() -> str:
        return str(await act(ctx, "a"))

    log.append(await asyncio.create_task(one()))
    await asyncio.Event().wait()


@case("create_task of a future, then a sleep", CANCEL, "a", log=["A"])
async def _(ctx: Context, log: list[str]) -> None:
    log.append(await asyncio.create_task(act(ctx, "a")))
    await asyncio.sleep(9)


@case("two started, awaited in turn", CANCEL, "a", "b", end="COMPLETED", log=["A", "B"])
async def _(ctx: Context, log: list[str]) -> None:
    a, b = act(ctx, "a"), act(ctx, "b")
    log.append(await a)
    log.append(await b)


@case("a timer", CANCEL, log=[])
async def _(ctx: Context, log: list[str]) -> None:
    await ctx.schedule_timer(9)


@case("task group: activities deliver, the timer is cancelled", CANCEL, "a", "b", log=["t cancelled", "A", "B"])
async def _(ctx: Context, log: list[str]) -> None:
    async def one(name: str) -> None:
        log.append(await act(ctx, name))

    async def nap() -> None:
        try:
            await ctx.schedule_timer(9)
        except asyncio.CancelledError:
            log.append("t cancelled")
            raise

    async with asyncio.TaskGroup() as group:
        group.create_task(one("a"))
        group.create_task(one("b"))
        group.create_task(nap())
    log.append("WRONG")


@case("gather raises, and its futures can be awaited", CANCEL, "a", "b", log=["gather", "A"])
async def _(ctx: Context, log: list[str]) -> None:
    a, timer = act(ctx, "a"), ctx.schedule_timer(9)
    try:
        await asyncio.gather(a, timer)
    except asyncio.CancelledError:
        log.append("gather")
        log.append(await a)
        raise


@case("wait raises at once", CANCEL, log=["wait"])
async def _(ctx: Context, log: list[str]) -> None:
    try:
        await asyncio.wait({act(ctx, "a"), act(ctx, "b")})
    except asyncio.CancelledError:
        log.append("wait")
        raise


@case("asyncio.timeout fires after the cancel", CANCEL, FIRE, "a", log=["TimeoutError"])
async def _(ctx: Context, log: list[str]) -> None:
    try:
        async with asyncio.timeout(30):
            log.append(await act(ctx, "a"))
    except TimeoutError:
        log.append("TimeoutError")
        raise asyncio.CancelledError from None


@case("the cancel arrives in a clean-up of two steps", CANCEL, "undo1", "undo2", log=["UNDO1", "UNDO2"])
async def _(ctx: Context, log: list[str]) -> None:
    try:
        raise ValueError
    except ValueError:
        cleanup = ctx.disconnected()
        log.append(await act(cleanup, "undo1"))
        log.append(await act(cleanup, "undo2"))
    await ctx.schedule_timer(9)


@case("async with disconnected, with a plain sleep in it", CANCEL, FIRE, "undo", log=["slept", "UNDO"])
async def _(ctx: Context, log: list[str]) -> None:
    async with ctx.disconnected() as cleanup:
        await asyncio.sleep(5)
        log.append("slept")
        log.append(await act(cleanup, "undo"))
    await asyncio.sleep(5)
    log.append("WRONG")


@case("a time-out in clean-up works", CANCEL, FIRE, log=["TimeoutError"])
async def _(ctx: Context, log: list[str]) -> None:
    try:
        await ctx.schedule_timer(900)
    except asyncio.CancelledError:
        try:
            async with asyncio.timeout(3):
                await act(ctx.disconnected(), "undo")
        except TimeoutError:
            log.append("TimeoutError")
        raise


@case("two nested tasks", CANCEL, "a", log=["two goes on", "A"])
async def _(ctx: Context, log: list[str]) -> None:
    async def one() -> str:
        return str(await act(ctx, "a"))

    async def two() -> str:
        result = await asyncio.create_task(one())
        log.append("two goes on")
        return result

    log.append(await asyncio.create_task(two()))
    await asyncio.Event().wait()


@case("a time-out caught after the cancel: it is still owed", CANCEL, FIRE, "a", log=["TimeoutError"])
async def _(ctx: Context, log: list[str]) -> None:
    try:
        async with asyncio.timeout(30):
            await act(ctx, "a")
    except TimeoutError:
        log.append("TimeoutError")
    await asyncio.Event().wait()
    log.append("WRONG")


@case("a disconnected block in a group's child", CANCEL, FIRE, "undo", log=["slept", "UNDO"])
async def _(ctx: Context, log: list[str]) -> None:
    async def child() -> None:
        async with ctx.disconnected() as cleanup:
            await asyncio.sleep(5)
            log.append("slept")
            log.append(await act(cleanup, "undo"))

    async with asyncio.TaskGroup() as group:
        group.create_task(child())


@case("gather of two activities waits for both", CANCEL, "a", "b", log=["gather"])
async def _(ctx: Context, log: list[str]) -> None:
    try:
        await asyncio.gather(act(ctx, "a"), act(ctx, "b"))
    except asyncio.CancelledError:
        log.append("gather")
        raise


@case("a loop that swallows cancels ends", CANCEL, "a", end="COMPLETED", log=["refused", "refused"])
async def _(ctx: Context, log: list[str]) -> None:
    for _ in range(3):
        try:
            await act(ctx, "a")
        except asyncio.CancelledError:
            log.append("refused")


def take(run: Run, step: str) -> None:
    """Do a step that is possible now; skip it otherwise."""
    if run.end != "running":
        return
    if step == CANCEL:
        run.cancel()
    elif step == FIRE:
        run.wait(1000)
    elif any(each.name == step for each in run.activities.values()):
        run.complete(step, step.upper())


@pytest.mark.parametrize("evicting", [False, True], ids=["cached", "evicted"])
@pytest.mark.parametrize("example", CASES, ids=lambda each: each.title)
def test_case_ends_as_the_rule_says(example: Case, evicting: bool) -> None:
    """W7: the outcome and what workflow code saw, as on stock asyncio."""
    run = Run(example.workflow, evicting=evicting)
    for step in example.steps:
        take(run, step)
    assert (run.end, LOG) == (example.end, example.log)


def moments() -> list[Any]:
    """Every case with the cancel moved to each place among its steps, and there twice."""
    found = []
    for example in CASES:
        steps = [step for step in example.steps if step != CANCEL]
        for place in range(len(steps) + 1):
            for times in (1, 2):
                moved = (*steps[:place], *[CANCEL] * times, *steps[place:])
                found.append(pytest.param(example, moved, id=f"{example.title}: {' '.join(moved)}"))
    return found


@pytest.mark.parametrize(("example", "steps"), moments())
def test_cancel_at_every_moment_is_the_same_evicted_or_not(example: Case, steps: tuple[str, ...]) -> None:
    """W7, E3: whenever it arrives, the cancel isn't lost, nothing wrong runs, and replay repeats it."""
    outcomes = []
    for evicting in (False, True):
        run = Run(example.workflow, evicting=evicting)
        for step in steps:
            take(run, step)
        for step in ("a", "b", "undo", "undo1", "undo2", FIRE, "undo", FIRE):
            take(run, step)
        run.replayed()
        outcomes.append((run.end, list(LOG), run.kinds()))
    assert outcomes[0] == outcomes[1]
    end, log, kinds = outcomes[0]
    if "CancelRequested" in kinds:
        assert end in ("CANCELLED", "COMPLETED")
        assert "WRONG" not in log


def test_cancelling_again_changes_nothing() -> None:
    """W7."""
    first, twice = Run(CASES[0].workflow), Run(CASES[0].workflow)
    for run in (first, twice):
        run.cancel()
    twice.cancel()
    for run in (first, twice):
        run.complete("a", "A")
        run.complete("undo", "UNDO")
    assert twice.end == first.end == "CANCELLED"
    assert [kind for kind in twice.kinds() if kind != "CancelRequested"] == [
        kind for kind in first.kinds() if kind != "CancelRequested"
    ]


@pytest.mark.parametrize("evicting", [False, True], ids=["cached", "evicted"])
def test_a_group_that_failed_before_takes_no_cancel_away(evicting: bool) -> None:
    """Up to 3.12 it leaves the task with a cancel request that nobody takes back; what is owed is paid all the same."""

    @workflow
    async def run(ctx: Context) -> str:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(act(ctx, "fails"))
        except* ValueError:
            pass
        await act(ctx, "goes on")
        await asyncio.sleep(3600)
        return "the cancel was lost"

    case = Run(run, evicting=evicting)
    case.fail("fails", ValueError())
    case.cancel()
    case.complete("goes on")

    assert case.end == "CANCELLED"
