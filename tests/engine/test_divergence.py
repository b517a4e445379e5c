"""E2: which changes of code fit a history, which don't, and how that is told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any

import pytest

from perdure.app import App
from perdure.engine.execution import Execution
from perdure.errors import NonDeterminismError, StoreCorrupt
from perdure.model.event import ActivityCompleted, Suspended, TimerFired
from perdure.model.retry import RetryPolicy
from perdure.workflows.context import Context
from perdure.workflows.definition import Workflow, workflow
from perdure.workflows.signal import Signal
from tests.engine.harness import Run, act

Body = Callable[[Context], Coroutine[Any, Any, Any]]


def code(body: Body, **options: Any) -> Workflow[[], Any]:
    """The body as today's version of the workflow."""

    @workflow(name="changing", **options)
    async def changing(ctx: Context) -> None:
        await body(ctx)
        await act(ctx, "last")

    return changing


async def base(ctx: Context) -> None:
    await act(ctx, "a", 1)
    await act(ctx, "b", {"x": 1, "y": 2})
    await ctx.sleep(5)
    ctx.signal_workflow("other", Signal("s", int), 1)
    await ctx.side_effect(int)


async def inserted(ctx: Context) -> None:
    await act(ctx, "new")
    await base(ctx)


async def inserted_beside(ctx: Context) -> None:
    act(ctx, "new")
    await base(ctx)


async def deleted(ctx: Context) -> None:
    await act(ctx, "a", 1)
    await ctx.sleep(5)
    await ctx.side_effect(int)


async def all_deleted(ctx: Context) -> None: ...


async def swapped(ctx: Context) -> None:
    await act(ctx, "b", {"x": 1, "y": 2})
    await act(ctx, "a", 1)
    await ctx.sleep(5)


async def renamed(ctx: Context) -> None:
    await act(ctx, "a2", 1)


async def other_argument(ctx: Context) -> None:
    await act(ctx, "a", 2)


async def one_argument_more(ctx: Context) -> None:
    await act(ctx, "a", 1, None)


async def other_key_order(ctx: Context) -> None:
    await act(ctx, "a", 1)
    await act(ctx, "b", {"y": 2, "x": 1})
    await ctx.sleep(5)
    ctx.signal_workflow("other", Signal("s", int), 1)
    await ctx.side_effect(int)


async def moved_earlier(ctx: Context) -> None:
    a, b = act(ctx, "a", 1), act(ctx, "b", {"x": 1, "y": 2})
    await a
    await b
    await ctx.sleep(5)


async def not_awaited(ctx: Context) -> None:
    act(ctx, "a", 1)
    await asyncio.sleep(0)
    await act(ctx, "b", {"x": 1, "y": 2})


async def timer_changed(ctx: Context) -> None:
    await act(ctx, "a", 1)
    await act(ctx, "b", {"x": 1, "y": 2})
    await asyncio.sleep(77)
    ctx.signal_workflow("other", Signal("s", int), 1)
    await ctx.side_effect(int)


async def timer_removed(ctx: Context) -> None:
    await act(ctx, "a", 1)
    await act(ctx, "b", {"x": 1, "y": 2})
    ctx.signal_workflow("other", Signal("s", int), 1)
    await ctx.side_effect(int)


async def option_changed(ctx: Context) -> None:
    await act(ctx, "a", 1, queue="eu", timeout=timedelta(seconds=9), retry=RetryPolicy(max_attempts=9), priority=3)
    await act(ctx, "b", {"x": 1, "y": 2}, cancellation="request")
    await ctx.sleep(5)
    ctx.signal_workflow("other", Signal("s", int), 1)
    await ctx.side_effect(int)


async def signal_to_another(ctx: Context) -> None:
    await act(ctx, "a", 1)
    await act(ctx, "b", {"x": 1, "y": 2})
    await ctx.sleep(5)
    ctx.signal_workflow("another", Signal("s", int), 1)
    await ctx.side_effect(int)


async def signal_of_another_value(ctx: Context) -> None:
    await act(ctx, "a", 1)
    await act(ctx, "b", {"x": 1, "y": 2})
    await ctx.sleep(5)
    ctx.signal_workflow("other", Signal("s", int), 2)
    await ctx.side_effect(int)


async def side_effect_removed(ctx: Context) -> None:
    await act(ctx, "a", 1)
    await act(ctx, "b", {"x": 1, "y": 2})
    await ctx.sleep(5)
    ctx.signal_workflow("other", Signal("s", int), 1)


async def side_effect_renamed(ctx: Context) -> None:
    await act(ctx, "a", 1)
    await act(ctx, "b", {"x": 1, "y": 2})
    await ctx.sleep(5)
    ctx.signal_workflow("other", Signal("s", int), 1)
    await ctx.side_effect(float)


async def another_kind(ctx: Context) -> None:
    await ctx.sleep(5)


async def extra_trailing(ctx: Context) -> None:
    await base(ctx)
    act(ctx, "trailing")


async def ends_early(ctx: Context) -> None:
    await act(ctx, "a", 1)
    raise ValueError("new")


async def refactored(ctx: Context) -> None:
    async def helper() -> None:
        await base(ctx)

    await asyncio.create_task(helper())


CHANGES: list[tuple[Body, str | None]] = [
    (base, None),
    (refactored, None),
    (other_key_order, None),
    (timer_changed, None),
    (option_changed, None),
    (inserted, "code did: activity 1: new"),
    (inserted_beside, "code did: activity 1: new"),
    (deleted, "history says: activity 2: b"),
    (all_deleted, "code did: activity 1: last"),
    (swapped, "code did: activity 1: b"),
    (renamed, "code did: activity 1: a2"),
    (other_argument, "code did: activity 1: a[[2]]"),
    (one_argument_more, "code did: activity 1: a[[1,null]]"),
    (moved_earlier, "history says: nothing more here"),
    (not_awaited, "history says: nothing more here"),
    (timer_removed, "history says: timer 3 set"),
    (signal_to_another, "code did: signal 4: 's' to 'another'"),
    (signal_of_another_value, "code did: signal 4: 's' to 'other' with 2"),
    (side_effect_removed, "history says: side effect 5 (int)"),
    (side_effect_renamed, "code did: side effect 5 (float)"),
    (another_kind, "code did: timer 1 set"),
    (extra_trailing, "code did: activity 6: trailing"),
    (ends_early, "history says: activity 2: b"),
]


@pytest.fixture(scope="module")
def recorded() -> Run:
    run = Run(code(base))
    run.complete("a")
    run.complete("b")
    run.wait(5)
    return run


@pytest.mark.parametrize(("change", "told"), CHANGES, ids=lambda each: getattr(each, "__name__", ""))
def test_a_change_of_code_fits_or_is_told(recorded: Run, change: Body, told: str | None) -> None:
    """E2: kind, name, place and input; never delays and options."""
    if told is None:
        recorded.replayed(code(change))
        return
    with pytest.raises(NonDeterminismError) as caught:
        recorded.replayed(code(change))
    assert told in str(caught.value)


async def paint(colour: str) -> None: ...


def test_the_message_shows_history_code_and_line() -> None:
    """E2: and what to do."""

    def version(colour: str) -> Workflow[[], Any]:
        async def body(ctx: Context) -> None:
            await ctx.execute_activity(paint, colour)

        return code(body)

    line = version.__code__.co_firstlineno + 2
    with pytest.raises(NonDeterminismError) as caught:
        Run(version("red")).replayed(version("blue"))
    name = f"{test_the_message_shows_history_code_and_line.__name__}.<locals>.version.<locals>.body"
    assert str(caught.value).splitlines() == [
        "workflow code doesn't repeat its history",
        '  history says: activity 1: paint["red"]',
        '  the code did: activity 1: paint["blue"]',
        f"  code line:    {__file__}:{line}, in {name}",
        "Undo the change, or make it with ctx.patched(…); then the instance goes on by itself.",
    ]


def test_long_inputs_are_cut_in_the_message() -> None:
    """E2: a megabyte isn't shown."""
    run = Run(code(lambda ctx: act_later(ctx, "x" * 100_000)))
    with pytest.raises(NonDeterminismError) as caught:
        run.replayed(code(lambda ctx: act_later(ctx, "y" * 100_000)))
    assert len(str(caught.value)) < 1500


async def act_later(ctx: Context, text: str) -> None:
    await act(ctx, "a", text)


@pytest.mark.parametrize("change", [other_argument, one_argument_more])
def test_lenient_leaves_inputs_out(change: Body) -> None:
    """E2: determinism="lenient"."""
    run = Run(code(base))
    run.replayed(code(change, determinism="lenient"))
    with pytest.raises(NonDeterminismError):
        run.replayed(code(renamed, determinism="lenient"))


def test_a_cancel_at_another_place_is_a_mismatch() -> None:
    """E2: the place of a cancel counts, and that there is one."""

    def version(is_cancelled: bool) -> Workflow[[], Any]:
        async def body(ctx: Context) -> None:
            future, timer = act(ctx, "a"), ctx.schedule_timer(9)
            await act(ctx, "b")
            if is_cancelled:
                timer.cancel()
                future.cancel()

        return code(body)

    for first, second in ((True, False), (False, True)):
        run = Run(version(first))
        run.complete("b")
        with pytest.raises(NonDeterminismError, match=r"timer 2 cancelled"):
            run.replayed(version(second))


def test_an_execution_goes_on_after_a_changed_timer_at_the_recorded_time() -> None:
    """E2: what was set counts."""
    run = Run(code(base))
    run.complete("a")
    run.complete("b")
    run.execution = run.replayed(code(timer_changed))
    run.wait(4)
    assert "TimerFired" not in run.kinds()
    run.wait(1)
    assert "TimerFired" in run.kinds()


def test_a_history_that_answers_what_was_never_asked_is_told() -> None:
    """E2: today's code has nothing open of this number."""
    run = Run(code(base))
    for event in (ActivityCompleted(at=run.now, number=9, result=b"1"), TimerFired(at=run.now, number=9)):
        fresh = run.replayed()
        with pytest.raises(NonDeterminismError, match="answer to command 9"):
            fresh.replay([event])


def test_an_answer_of_another_kind_is_told() -> None:
    """E2: the machine's table has no such row."""
    run = Run(code(base))
    with pytest.raises(NonDeterminismError, match="activity 1 is recorded, and history says it fired"):
        run.replayed().replay([TimerFired(at=run.now, number=1)])


def test_a_history_that_isnt_one_is_the_stores_fault() -> None:
    """E4."""
    run = Run(code(base))
    for events in (run.history[1:], [ActivityCompleted(at=run.now, number=1, result=b"1")]):
        execution = Execution(run._task(), run.definition, run.app)
        with pytest.raises(StoreCorrupt):
            execution.replay(events)


def test_administrative_events_are_passed_over() -> None:
    """E2: wherever an operator's hand has left them between two tasks."""
    run = Run(code(base))
    run.history.append(Suspended(at=run.now))
    run.execution = run.replayed()
    run.complete("a")
    run.replayed()
    execution = Execution(run._task(), run.definition, App(workflows=[code(base)]))
    execution.replay([Suspended(at=run.now)])
    assert execution.position == 1
