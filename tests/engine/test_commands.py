"""W4: commands are issued at once and return futures that work like asyncio's."""

from __future__ import annotations

import asyncio
import inspect
import sys
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from perdure.activities.definition import activity
from perdure.app import App
from perdure.errors import (
    SignalNotDelivered,
)
from perdure.model.checkpoint import SendSignal
from perdure.model.event import ActivityScheduled, SignalDelivered, SignalRefused
from perdure.model.failure import plain_failure
from perdure.model.options import Cancellation
from perdure.model.retry import RetryPolicy
from perdure.serialization.codecs import Compression
from perdure.workflows.context import Context
from perdure.workflows.definition import workflow
from perdure.workflows.select import on_result, select
from perdure.workflows.signal import Signal
from tests.engine.harness import Run, act

number = Signal("number", int)


@dataclass
class Order:
    id: str
    cents: int = 0


@activity
async def charge(order: Order, note: str = "none") -> Order:
    return order


class Payments:
    @activity(name="pay", queue="money", retry=RetryPolicy(max_attempts=7), timeout=timedelta(seconds=30))
    def pay(self, cents: int) -> int:
        return cents


def test_an_activity_is_issued_by_the_call_and_not_by_the_await() -> None:
    """W4."""

    @workflow
    async def issues(ctx: Context) -> None:
        act(ctx, "a")
        act(ctx, "b")
        await asyncio.Event().wait()

    assert Run(issues).scheduled() == ["a", "b"]


def test_what_the_store_gets_of_an_activity() -> None:
    """W4: its options, and the workflow's where it has none."""

    @workflow
    async def issues(ctx: Context) -> None:
        ctx.execute_activity(charge, Order("o", 3), note="x")
        ctx.execute_activity(Payments.pay.with_options(priority=5, heartbeat_timeout=1.5), 4)
        await asyncio.Event().wait()

    first, second = Run(issues).activities.values()
    assert (first.name, first.queue, first.priority, first.retry.max_attempts) == ("charge", "default", 0, 3)
    assert first.arguments == b'[{"id":"o","cents":3},"x"]'
    assert (second.name, second.queue, second.priority, second.retry.max_attempts) == ("pay", "money", 5, 7)
    assert (second.timeout, second.heartbeat_timeout, second.total_timeout) == (30_000_000, 1_500_000, None)


def test_a_result_comes_as_the_annotated_type(evicting: bool) -> None:
    """P1."""

    @workflow
    async def uses(ctx: Context) -> int:
        order = await ctx.execute_activity(charge, Order("o", 3))
        assert isinstance(order, Order)
        return order.cents

    run = Run(uses, evicting=evicting)
    run.complete("charge", Order("o", 5))
    assert run.result == 5


def test_a_future_can_be_awaited_twice_and_by_many(evicting: bool) -> None:
    """W4."""

    @workflow
    async def awaits(ctx: Context) -> list[Any]:
        a, b = act(ctx, "a"), act(ctx, "b")

        async def wait() -> Any:
            return await a

        first = await asyncio.gather(wait(), a, wait(), b)
        done, _ = await asyncio.wait([a, b])
        return [*first, await a, await a, a.done(), a.result(), len(done), (await select(on_result(a))).value]

    run = Run(awaits, evicting=evicting)
    run.to_end()
    assert run.result == ["A", "A", "A", "B", "A", "A", True, "A", 2, "A"]


def test_create_task_takes_a_future_like_a_coroutine(evicting: bool) -> None:
    """W4: asyncio's, a group's and the loop's."""

    @workflow
    async def makes_tasks(ctx: Context) -> list[Any]:
        async with asyncio.TaskGroup() as group:
            first = group.create_task(act(ctx, "a"), name="first")
            second = asyncio.create_task(act(ctx, "b"))
            third = asyncio.get_running_loop().create_task(ctx.schedule_timer(1))
            fourth = asyncio.ensure_future(act(ctx, "c"))
        await third
        return [first.get_name(), first.result(), await second, await fourth]

    run = Run(makes_tasks, evicting=evicting)
    run.to_end()
    assert run.result == ["first", "A", "B", "C"]


def test_at_run_time_a_future_is_no_coroutine() -> None:
    """W4: asyncio.wait refuses coroutines."""

    @workflow
    async def looks(ctx: Context) -> list[bool]:
        future = act(ctx, "a")
        return [asyncio.isfuture(future), asyncio.iscoroutine(future), inspect.isawaitable(future)]

    assert Run(looks).result == [True, False, True]


def test_cancelling_a_task_before_its_first_step_cancels_its_command() -> None:
    """W4: nothing outlives the task, and nothing is recorded if it was issued in this drain."""

    @workflow
    async def cancels(ctx: Context) -> list[Any]:
        new = act(ctx, "a")
        task = asyncio.create_task(new)
        task.cancel()
        await asyncio.wait([task])
        log: list[Any] = [task.cancelled(), new.cancelled()]
        old = act(ctx, "b")
        await act(ctx, "c")
        task = asyncio.create_task(old)
        task.cancel()
        await asyncio.wait([task])
        return [*log, task.cancelled(), old.cancelled()]

    run = Run(cancels)
    run.complete("c")
    assert run.result == [True, True, True, True]
    assert run.scheduled() == ["b", "c"]
    assert "ActivityCancelled" in run.kinds()


@pytest.mark.skipif(sys.version_info < (3, 13), reason="before 3.13 an aborting group doesn't close what it refuses")
def test_a_group_that_aborts_closes_the_future_that_it_wont_take(evicting: bool) -> None:
    """W4: create_task on it raises, and the activity isn't scheduled."""

    @workflow
    async def aborts(ctx: Context) -> str:
        async def late(group: asyncio.TaskGroup) -> None:
            try:
                await asyncio.sleep(50)
            finally:
                try:
                    group.create_task(act(ctx, "late"))
                except RuntimeError as problem:
                    log.append(str(problem))

        async def fail() -> None:
            await act(ctx, "a")
            raise ValueError

        log: list[str] = []
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(late(group))
                group.create_task(fail())
        except* ValueError:
            pass
        return log[0]

    run = Run(aborts, evicting=evicting)
    run.complete("a")
    assert "shutting down" in run.result
    assert run.scheduled() == ["a"]


def test_close_cancels_what_was_issued(evicting: bool) -> None:
    """W4."""

    @workflow
    async def closes(ctx: Context) -> bool:
        future = act(ctx, "a")
        await act(ctx, "b")
        future.close()
        return future.cancelled()

    run = Run(closes, evicting=evicting)
    run.complete("b")
    assert run.result is True
    assert run.kinds()[-2:] == ["ActivityCancelled", "ExecutionCompleted"]


def test_an_answer_to_a_cancelled_future_is_dropped(evicting: bool) -> None:
    """W8: the activity was running, and its result came all the same."""

    @workflow
    async def cancels(ctx: Context) -> str:
        future = act(ctx, "a")
        await act(ctx, "b")
        future.cancel()
        return str(await act(ctx, "c"))

    run = Run(cancels, evicting=evicting)
    late = dict(run.activities)
    run.complete("b")
    run.activities |= {each: new for each, new in late.items() if new.name == "a"}
    run.complete("a", "late")
    run.complete("c", "C")
    assert run.result == "C"
    run.assert_replays()


def test_signalling_another_instance_answers_whether_it_got_it(evicting: bool) -> None:
    """W4."""

    @workflow
    async def signals(ctx: Context) -> list[Any]:
        first, second = ctx.signal_workflow("one", number, 1), ctx.signal_workflow("two", number, 2)
        await first
        log = ["delivered"]
        try:
            await second
        except SignalNotDelivered as problem:
            log.append(str(problem))
        return log

    run = Run(signals, evicting=evicting)
    sent = [each for each in run.checkpoints[0].messages if isinstance(each, SendSignal)]
    assert [(each.instance_id, each.signal.name, each.signal.payload) for each in sent] == [
        ("one", "number", b"1"),
        ("two", "number", b"2"),
    ]
    assert len({each.message_id for each in sent}) == 2
    run.feed(SignalDelivered(at=run.now, number=sent[0].number))
    run.feed(SignalRefused(at=run.now, number=sent[1].number, failure=plain_failure("SignalNotDelivered", "nobody")))
    assert run.result == ["delivered", "nobody"]


def test_a_cancelled_signal_was_sent_all_the_same(evicting: bool) -> None:
    """W4: it can't be taken back, its answer is dropped; in the drain that issues it, it isn't sent at all."""

    @workflow
    async def cancels(ctx: Context) -> None:
        ctx.signal_workflow("never", number, 0).cancel()
        sent = ctx.signal_workflow("one", number, 1)
        await act(ctx, "a")
        sent.cancel()
        await act(ctx, "b")

    run = Run(cancels, evicting=evicting)
    [message] = run.checkpoints[0].messages
    assert isinstance(message, SendSignal)
    run.complete("a")
    run.feed(SignalDelivered(at=run.now, number=message.number))
    run.complete("b")
    assert run.end == "COMPLETED"


def test_numbers_count_the_commands_of_an_execution() -> None:
    """W4: from 1, whatever kind."""

    @workflow
    async def issues(ctx: Context) -> None:
        act(ctx, "a")
        ctx.schedule_timer(1)
        ctx.side_effect(int)
        await act(ctx, "b")

    run = Run(issues)
    assert [each.number for each in run.history[1:]] == [1, 2, 3, 4]


def test_the_cancellation_option_is_checked() -> None:
    """W7."""
    assert charge.with_options(cancellation="request").options.cancellation is Cancellation.REQUEST
    with pytest.raises(ValueError, match="explode"):
        charge.with_options(cancellation="explode")


def test_the_same_arguments_have_the_same_digest_whatever_their_order() -> None:
    """E2: keys and sets are sorted; the payload keeps the caller's order."""

    @workflow
    async def issues(ctx: Context) -> None:
        act(ctx, "a", {"x": 1, "y": 2})
        act(ctx, "a", {"y": 2, "x": 1})
        await asyncio.Event().wait()

    first, second = (each for each in Run(issues).history if isinstance(each, ActivityScheduled))
    assert first.digest == second.digest
    assert first.arguments != second.arguments


def test_an_activity_of_two_apps_is_written_by_the_codecs_of_each() -> None:
    """F3: what is prepared for an activity is kept with it, and made anew for another App."""

    @activity
    async def shared(text: str) -> str:
        return text

    @workflow
    async def calls(ctx: Context) -> str:
        return await ctx.execute_activity(shared, "text" * 100)

    plain = App(workflows=[calls], activities=[shared])
    packed = App(workflows=[calls], activities=[shared], codecs=[Compression(threshold_bytes=1)])
    for app in (plain, packed, plain):
        run = Run(calls, app=app)
        [scheduled] = [each for each in run.history if isinstance(each, ActivityScheduled)]
        assert scheduled.arguments.startswith(b"[") is (app is plain)
        run.complete(1, "x")
        assert run.result == "x"
