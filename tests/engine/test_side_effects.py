"""W4: side_effect runs a plain function once and records what came of it."""

from __future__ import annotations

import asyncio
import functools
import random
from dataclasses import dataclass
from typing import Any

import pytest

from perdure.app import App
from perdure.errors import ConfigurationError, FailureError, NonDeterminismError
from perdure.model.event import SideEffectRecorded
from perdure.workflows.context import Context
from perdure.workflows.definition import workflow
from tests.engine.harness import Run, act

CALLS: list[int] = []


@dataclass
class Point:
    x: int


def count() -> int:
    CALLS.append(1)
    return len(CALLS)


def point(x: int, *, shift: int = 0) -> Point:
    return Point(x + shift)


@pytest.fixture(autouse=True)
def _fresh() -> None:
    CALLS.clear()


@workflow
async def counts(ctx: Context) -> list[int]:
    first = await ctx.side_effect(count)
    await act(ctx, "a")
    return [first, await ctx.side_effect(count)]


def test_it_runs_once_and_replay_gets_the_recorded_result() -> None:
    """W4."""
    run = Run(counts)
    for _ in range(5):
        run.evict()
    run.complete("a")
    for _ in range(5):
        run.replayed()
    assert run.result == [1, 2]
    assert len(CALLS) == 2


def test_its_result_is_there_at_once() -> None:
    """W4: it needs no task of its own, and can be read without an await."""

    @workflow
    async def reads(ctx: Context) -> int:
        future = ctx.side_effect(count)
        return future.result() + await future

    assert Run(reads).result == 2


def test_arguments_pass_through_and_the_result_has_its_type(evicting: bool) -> None:
    """W4."""

    @workflow
    async def makes(ctx: Context) -> list[Any]:
        made = await ctx.side_effect(point, 1, shift=2)
        partial = await ctx.side_effect(functools.partial(random.randrange, 3, 4))
        return [type(made).__name__, made.x, partial, await ctx.side_effect(lambda: 5)]

    run = Run(makes, evicting=evicting)
    assert run.result == ["Point", 3, 3, 5]
    run.assert_replays()


class Strange(Exception): ...


def fail(kind: type[Exception]) -> None:
    CALLS.append(1)
    raise kind("no")


@pytest.mark.parametrize("kind", [ValueError, Strange, FailureError])
def test_its_failure_is_recorded_too(kind: type[Exception]) -> None:
    """W4: raised at the await, then and in replay."""

    @workflow
    async def catches(ctx: Context) -> list[str]:
        try:
            await ctx.side_effect(fail, kind)
        except kind as problem:
            return [str(problem), str(await act(ctx, "a"))]
        return []

    run = Run(catches, evicting=True)
    run.complete("a", "A")
    assert run.result == ["no", "A"]
    assert len(CALLS) == 1


def test_a_failure_of_an_unknown_type_is_a_failure_error(evicting: bool) -> None:
    """P2: it was no activity."""

    class Local(Exception): ...

    @workflow
    async def catches(ctx: Context) -> str:
        try:
            await ctx.side_effect(fail, Local)
        except FailureError as problem:
            return problem.type.rpartition(".")[2]
        return ""

    assert Run(catches, evicting=evicting).result == "Local"


async def is_async() -> None: ...


def hidden() -> Any:
    return is_async()


@pytest.mark.parametrize(
    "function", [is_async, hidden, functools.partial(is_async)], ids=["async", "hidden", "partial"]
)
def test_an_async_function_is_refused_the_same_in_replay(function: Any) -> None:
    """W4: with what to do, and the history replays though nothing could be recorded of it."""

    @workflow
    async def tries(ctx: Context) -> list[str]:
        try:
            await ctx.side_effect(function)
        except ConfigurationError as problem:
            return [str(problem), str(await act(ctx, "a"))]
        return []

    run = Run(tries, evicting=True)
    run.complete("a", "A")
    assert "make it an activity" in run.result[0]
    run.assert_replays()


def test_a_result_that_cant_be_stored_is_refused_the_same_in_replay() -> None:
    """P3."""

    @workflow
    async def tries(ctx: Context) -> str:
        try:
            await ctx.side_effect(object)
        except ValueError:
            return str(await act(ctx, "a"))
        return ""

    run = Run(tries, evicting=True)
    run.complete("a", "A")
    assert run.result == "A"


class Reversing:
    """A codec."""

    name = "reversing"

    def encode(self, data: bytes, /) -> bytes:
        return data[::-1]

    def decode(self, data: bytes, /) -> bytes:
        return data[::-1]


def test_a_failure_keeps_its_arguments_through_codecs(evicting: bool) -> None:
    """P2: of side effects as of activities."""

    def fail_twice() -> None:
        raise ValueError("no", 7)

    @workflow
    async def catches(ctx: Context) -> list[Any]:
        log: list[Any] = []
        for future in (ctx.side_effect(fail_twice), act(ctx, "a")):
            try:
                await future
            except ValueError as problem:
                log += problem.args
        return log

    run = Run(catches, evicting=evicting, app=App(workflows=[catches], codecs=[Reversing()]))
    run.fail("a", ValueError("nor", 8))
    assert run.result == ["no", 7, "nor", 8]


def test_two_that_change_places_dont_get_each_others_results() -> None:
    """E2: the function's name is compared."""

    def first() -> int:
        return 1

    def second() -> int:
        return 2

    def version(*order: Any) -> Any:
        @workflow(name="ordered")
        async def ordered(ctx: Context) -> list[int]:
            results = [await ctx.side_effect(each) for each in order]
            await act(ctx, "a")
            return results

        return ordered

    run = Run(version(first, second))
    with pytest.raises(NonDeterminismError, match=r"side effect 1 \(first\)[\s\S]*side effect 1 \(second\)"):
        run.replayed(version(second, first))


def test_one_that_history_doesnt_have_stops_the_replay_without_running() -> None:
    """E2: not even in a loop."""

    def version(is_new: bool) -> Any:
        @workflow(name="changed")
        async def changed(ctx: Context) -> None:
            while is_new:
                ctx.side_effect(count)
            await act(ctx, "a")

        return changed

    run = Run(version(False))
    with pytest.raises(NonDeterminismError, match="side effect 1"):
        run.replayed(version(True))
    assert CALLS == []


def test_it_can_be_cancelled_like_any_future() -> None:
    """W4: it is done, so that changes nothing."""

    @workflow
    async def cancels(ctx: Context) -> list[Any]:
        future = ctx.side_effect(count)
        return [future.cancel(), await future, await asyncio.gather(future)]

    assert Run(cancels).result == [False, 1, [1]]


def test_a_cancelled_context_refuses_it_without_running() -> None:
    """W7."""

    @workflow
    async def cleans_up(ctx: Context) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ctx.disconnected().side_effect(count)
            ctx.side_effect(count)

    run = Run(cleans_up)
    run.cancel()
    assert run.end == "CANCELLED"
    assert len(CALLS) == 1
    assert sum(isinstance(each, SideEffectRecorded) for each in run.history) == 1
