"""`ctx.compensations()`: what was done is taken back, the last first, each once, whatever happens meanwhile."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from perdure.activities.definition import Activity
from perdure.errors import ArgumentsError, CompensationFailed, ConfigurationError
from perdure.model.failure import Failure
from perdure.serialization.failures import to_exception
from perdure.workflows.compensations import Compensations
from perdure.workflows.context import Context, workflow_context
from perdure.workflows.definition import workflow
from tests.engine.harness import Run, act


async def _of_anything(*args: Any) -> Any:
    return args


def named(name: str, **options: Any) -> Activity[..., Any]:
    return Activity(_of_anything, name=name).with_options(**options)


class Declined(Exception):
    pass


class Broken(Exception):
    pass


async def book(ctx: Context, undo: Compensations, *steps: str) -> None:
    """Each step, with what takes it back."""
    for step in steps:
        done = await act(ctx, step)
        undo.add(named(f"undo {step}"), done)


@workflow
async def trip(ctx: Context) -> str:
    async with ctx.compensations() as undo:
        await book(ctx, undo, "flight", "hotel", "car")
        await ctx.sleep(1)
    await ctx.sleep(1)
    return "booked"


@workflow
async def doomed(ctx: Context) -> None:
    async with ctx.compensations() as undo:
        await book(ctx, undo, "flight", "hotel")
        raise Declined("no money")


def undone(run: Run) -> list[str]:
    return [name for name in run.scheduled() if name.startswith("undo")]


def test_the_normal_end_of_the_block_runs_nothing(evicting: bool) -> None:
    run = Run(trip, evicting=evicting)
    run.to_end()

    assert run.result == "booked"
    assert undone(run) == []


def test_an_error_takes_back_the_last_step_first_one_at_a_time_and_goes_on(evicting: bool) -> None:
    run = Run(doomed, evicting=evicting)
    run.complete("flight", "F")
    run.complete("hotel", "H")

    assert [new.name for new in run.activities.values()] == ["undo hotel"]
    assert run.activities[3].arguments == b'[["H"]]'
    run.complete("undo hotel")
    assert [new.name for new in run.activities.values()] == ["undo flight"]
    run.complete("undo flight")
    assert (run.failure.type_name, run.failure.message) == ("Declined", "no money")
    run.assert_replays()


@pytest.mark.parametrize("after", range(5))
def test_a_cancel_at_any_moment_takes_back_what_was_done(after: int, evicting: bool) -> None:
    """Each step that took place is taken back once, and no other; then the cancel goes on."""
    run = Run(trip, evicting=evicting)
    steps = ["flight", "hotel", "car"]
    for step in steps[:after]:
        run.complete(step, step)
    if after == 4:
        run.fire()
    run.cancel()
    under_way = steps[after : after + 1]
    for step in under_way:
        run.complete(step, step)  # it was issued before the cancel, and is waited for
    run.to_end()

    assert run.end == "CANCELLED"
    assert undone(run) == ([] if after == 4 else [f"undo {step}" for step in reversed(steps[: after + 1])])
    run.assert_replays()


@pytest.mark.parametrize("after", range(3))
def test_a_cancel_while_it_is_taken_back_disturbs_nothing(after: int, evicting: bool) -> None:
    """The error was first: the instance fails with it."""
    run = Run(doomed, evicting=evicting)
    run.complete("flight", "F")
    run.complete("hotel", "H")
    for compensation in ("undo hotel", "undo flight")[:after]:
        run.complete(compensation)
    if after < 2:
        run.cancel()
        run.cancel()
    run.to_end()

    assert undone(run) == ["undo hotel", "undo flight"]
    assert run.failure.type_name == "Declined"
    run.assert_replays()


def test_the_cancel_that_came_meanwhile_lands_in_the_next_await(evicting: bool) -> None:
    @workflow
    async def goes_on(ctx: Context) -> str:
        try:
            async with ctx.compensations() as undo:
                await book(ctx, undo, "a")
                raise Declined
        except Declined:
            await ctx.sleep(1)
        return "slept"

    run = Run(goes_on, evicting=evicting)
    run.complete("a")
    run.cancel()
    run.complete("undo a")

    assert run.end == "CANCELLED"


def test_a_time_out_around_the_block_waits_until_all_is_taken_back(evicting: bool) -> None:
    """A time-out that fires again, around a block that fails, takes away no compensation."""

    @workflow
    async def hurried(ctx: Context) -> str:
        try:
            async with ctx.timeout(30), ctx.timeout(10), ctx.compensations() as undo:
                await book(ctx, undo, "a", "b", "c")
        except TimeoutError:
            return "late"
        return "in time"

    run = Run(hurried, evicting=evicting)
    run.complete("a", "A")
    run.complete("b", "B")
    run.wait(10)
    assert [new.name for new in run.activities.values()] == ["undo b"]
    run.wait(30)
    assert [new.name for new in run.activities.values()] == ["undo b"]
    run.complete("undo b")
    run.complete("undo a")

    assert run.result == "late"
    run.assert_replays()


def test_one_that_fails_doesnt_keep_the_others_from_running(evicting: bool) -> None:
    """The failures are the parts of a group; why the block failed is its cause, and stands in its message."""

    @workflow
    async def breaks(ctx: Context) -> None:
        async with ctx.compensations() as undo:
            await book(ctx, undo, "a", "b", "c")
            raise Declined("no money")

    run = Run(breaks, evicting=evicting)
    for step in "abc":
        run.complete(step)
    run.fail("undo c", Broken("c is gone"))
    run.complete("undo b")
    run.fail("undo a", Broken("a is gone"))

    failure = run.failure
    assert failure.type_name == "CompensationFailed"
    assert failure.message == "2 of 3 compensations failed (undo c, undo a), after Declined: no money"
    assert [part.message for part in failure.children] == ["c is gone", "a is gone"]
    assert isinstance(failure.cause, Failure)
    assert failure.cause.type_name == "Declined"
    rebuilt = to_exception(failure, {})
    assert isinstance(rebuilt, CompensationFailed)
    assert isinstance(rebuilt.__cause__, Declined)
    assert [type(part) for part in rebuilt.exceptions] == [Broken, Broken]
    run.assert_replays()


def test_a_cancelled_instance_whose_compensations_fail_has_failed(evicting: bool) -> None:
    """CANCELLED would say that all was cleaned up."""
    run = Run(trip, evicting=evicting)
    run.complete("flight")
    run.cancel()
    run.complete("hotel")
    run.complete("undo hotel")
    run.fail("undo flight", Broken("no"))

    assert run.end == "FAILED"
    assert run.failure.message.startswith("1 of 2 compensations failed (undo flight), after CancelledError")


def test_who_expects_the_original_error_doesnt_take_half_for_all(evicting: bool) -> None:
    """`except Declined` may count on everything being taken back."""

    @workflow
    async def catches(ctx: Context) -> str:
        try:
            async with ctx.compensations() as undo:
                await book(ctx, undo, "a")
                raise Declined("no money")
        except Declined:
            return "all was taken back"
        except CompensationFailed as broken:
            await act(ctx, "alert", [str(each) for each in broken.exceptions])
        return "a person looks at it"

    run = Run(catches, evicting=evicting)
    run.complete("a")
    run.fail("undo a", Broken("no"))
    assert run.activities[3].arguments == b'[[["no"]]]'
    run.complete("alert")

    assert run.result == "a person looks at it"


def test_sub_workflows_take_back_too(evicting: bool) -> None:
    @workflow
    async def refund(ctx: Context, cents: int) -> None:
        await act(ctx, "pay back", cents)

    @workflow
    async def buys(ctx: Context) -> None:
        async with ctx.compensations() as undo:
            await act(ctx, "pay")
            undo.add(refund.with_options(instance_id="refund-7"), cents=7)
            await ctx.sleep(10)

    run = Run(buys, evicting=evicting)
    run.complete("pay")
    run.cancel()
    [child] = run.children.values()
    assert (child.workflow, child.instance_id, child.started.arguments) == (refund.name, "refund-7", b"[7]")
    run.cancel()
    run.complete_child(child.number)

    assert run.end == "CANCELLED"


def test_a_callback_is_workflow_code_on_the_disconnected_context(evicting: bool) -> None:
    @workflow
    async def frees(ctx: Context) -> None:
        seats = {"1A", "1B"}

        async def free(seat: str) -> None:
            cleanup = workflow_context()
            assert cleanup.is_disconnected
            await asyncio.sleep(1)
            await act(cleanup, "free", seat)

        async with ctx.compensations() as undo:
            undo.add_callback(seats.remove, "1A")
            undo.add_callback(lambda: act(workflow_context(), "tell", sorted(seats)))
            undo.add_callback(free, seat="1A")
            await ctx.sleep(10)

    run = Run(frees, evicting=evicting)
    run.cancel()
    run.fire()
    run.complete("free")
    assert run.activities[max(run.activities)].arguments == b'[[["1A","1B"]]]'
    run.complete("tell")

    assert run.end == "CANCELLED"


def test_a_callback_may_have_a_time_out_of_its_own(evicting: bool) -> None:
    """W7: the first cancel of a task that is older than the instance's cancel isn't taken for that one here."""

    @workflow
    async def bounded(ctx: Context) -> None:
        async def ask() -> None:
            async with ctx.timeout(5):
                await act(workflow_context(), "ask")

        async with ctx.compensations() as undo:
            undo.add(named("undo a"))
            undo.add_callback(ask)
            raise Declined

    run = Run(bounded, evicting=evicting)
    run.cancel()
    run.wait(5)
    assert undone(run) == ["undo a"]
    run.complete("undo a")

    assert [part.type_name for part in run.failure.children] == ["TimeoutError"]


def test_a_callback_that_raises_cancelled_error_has_failed(evicting: bool) -> None:
    @workflow
    async def confused(ctx: Context) -> None:
        async def give_up() -> None:
            raise asyncio.CancelledError

        async with ctx.compensations() as undo:
            undo.add(named("undo a"))
            undo.add_callback(give_up)
            raise Declined

    run = Run(confused, evicting=evicting)
    run.complete("undo a")

    assert "give_up let a CancelledError through" in run.failure.children[0].message


def test_blocks_inside_each_other_are_taken_back_from_the_inside(evicting: bool) -> None:
    @workflow
    async def nested(ctx: Context) -> None:
        async with ctx.compensations() as outer:
            await book(ctx, outer, "a")
            async with ctx.compensations() as inner:
                await book(ctx, inner, "b")
            async with ctx.compensations() as inner:
                await book(ctx, inner, "c")
                await ctx.sleep(10)

    run = Run(nested, evicting=evicting)
    for step in "abc":
        run.complete(step)
    run.cancel()
    run.to_end()

    assert undone(run) == ["undo c", "undo a"]
    assert run.end == "CANCELLED"


def test_blocks_of_a_task_group_are_each_taken_back(evicting: bool) -> None:
    @workflow
    async def parallel(ctx: Context) -> None:
        async def one(name: str) -> None:
            async with ctx.compensations() as undo:
                await book(ctx, undo, name)
                await ctx.sleep(10)

        async def failing() -> None:
            await ctx.sleep(1)
            raise Declined

        async with asyncio.TaskGroup() as group:
            for name in "ab":
                group.create_task(one(name))
            group.create_task(failing())

    run = Run(parallel, evicting=evicting)
    run.complete("a")
    run.complete("b")
    run.wait(1)
    assert undone(run) == ["undo a", "undo b"]
    run.cancel()
    run.to_end()

    assert undone(run) == ["undo a", "undo b"]
    assert [part.type_name for part in run.failure.children] == ["Declined"]
    run.assert_replays()


def test_a_cancelled_child_context_takes_back_too(evicting: bool) -> None:
    @workflow
    async def racing(ctx: Context) -> str:
        child, stop = ctx.with_cancel()

        async def attempt() -> None:
            async with child.compensations() as undo:
                await book(child, undo, "a")
                await child.sleep(10)

        running = asyncio.create_task(attempt())
        await ctx.sleep(1)
        stop()
        await asyncio.wait([running])
        return f"cancelled: {running.cancelled()}"

    run = Run(racing, evicting=evicting)
    run.complete("a")
    run.wait(1)
    run.complete("undo a")

    assert run.result == "cancelled: True"


def test_continue_as_new_runs_nothing(evicting: bool) -> None:
    @workflow
    async def again(ctx: Context) -> None:
        async with ctx.compensations() as undo:
            await book(ctx, undo, "a")
            ctx.continue_as_new(again)

    run = Run(again, evicting=evicting)
    run.complete("a")

    assert run.end == "CONTINUED_AS_NEW"
    assert undone(run) == []


def test_leaving_memory_runs_nothing() -> None:
    """E3: the coroutine is closed in the middle of the block, or of a compensation; no command comes of it."""
    run = Run(doomed)
    run.complete("flight")
    run.evict()
    run.complete("hotel")
    run.evict()

    assert undone(run) == ["undo hotel"]
    assert run.end == "running"


def test_it_can_be_taken_back_without_an_error(evicting: bool) -> None:
    @workflow
    async def rejects(ctx: Context) -> str:
        async with ctx.compensations() as undo:
            await book(ctx, undo, "a")
            await undo.compensate()
            await undo.compensate()
            await book(ctx, undo, "b")
        return "rejected"

    run = Run(rejects, evicting=evicting)
    run.to_end()

    assert run.result == "rejected"
    assert undone(run) == ["undo a"]


def test_a_cancel_while_it_is_taken_back_by_hand_comes_at_the_end(evicting: bool) -> None:
    @workflow
    async def by_hand(ctx: Context) -> str:
        async def inner() -> None:
            async with ctx.compensations() as undo:
                await book(ctx, undo, "a")
                await undo.compensate()

        running = asyncio.create_task(inner())
        await ctx.sleep(1)
        running.cancel()
        await asyncio.wait([running])
        return f"cancelled: {running.cancelled()}"

    run = Run(by_hand, evicting=evicting)
    run.complete("a")
    run.wait(1)
    run.complete("undo a")

    assert run.result == "cancelled: True"


def test_what_cant_be_called_is_refused_when_it_is_added() -> None:
    """A4: not when the money is to be paid back."""

    @workflow
    async def careless(ctx: Context) -> list[str]:
        problems = []

        async def refund(payment: str, cents: int) -> None: ...

        undo = ctx.compensations()
        try:
            undo.add(refund, "p", 1)
        except ConfigurationError as problem:
            problems.append(str(problem))
        async with undo:
            for wrong in ((), ("p", "all of it"), ("p", 1, 2)):
                try:
                    undo.add(refund, *wrong)
                except ArgumentsError as problem:
                    problems.append(str(problem))
        return problems

    run = Run(careless)

    assert "would never run" in run.result[0]
    assert len(run.result) == 4
