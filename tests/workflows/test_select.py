"""W6: select waits until a case is ready, strictly in the order given, and leaves the others as they were."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from perdure.errors import ActivityError, ConfigurationError
from perdure.workflows.channel import Channel, ChannelClosed
from perdure.workflows.context import Context
from perdure.workflows.definition import workflow
from perdure.workflows.select import Selected, on_receive, on_result, on_send, otherwise, select
from perdure.workflows.signal import Signal
from tests.engine.harness import Run, act
from tests.workflows.test_channel import outcome, settle

number = Signal("number", int)


def test_the_first_ready_case_in_order_is_taken() -> None:
    """W6: not the one that was ready first."""

    @workflow
    async def chooses(ctx: Context) -> list[Any]:
        a, b = act(ctx, "a"), act(ctx, "b")
        await asyncio.wait([a, b])
        first = await select(on_result(b), on_result(a))
        return [first.index, first.value]

    run = Run(chooses)
    run.to_end()
    assert run.result == [0, "B"]


@pytest.mark.parametrize(("steps", "expected"), [("ab", [0, "A"]), ("b", [1, "B"])])
def test_it_blocks_until_one_is_ready(steps: str, expected: list[Any], evicting: bool) -> None:
    """W6."""

    @workflow
    async def waits(ctx: Context) -> list[Any]:
        chosen = await select(on_result(act(ctx, "a")), on_result(act(ctx, "b")))
        return [chosen.index, chosen.value]

    run = Run(waits, evicting=evicting)
    assert run.end == "running"
    run.complete(steps[0], steps[0].upper())
    assert run.result == expected


def test_a_handler_gets_the_value_and_gives_the_result_of_select(evicting: bool) -> None:
    """W6: plain and async handlers."""

    @workflow
    async def handles(ctx: Context) -> list[str]:
        async def more(value: str) -> str:
            return value + str(await act(ctx, "more"))

        a = act(ctx, "a")
        plain: str = await select(on_result(a, lambda value: value + "!"))
        slow: str = await select(on_result(a, more))
        return [plain, slow]

    run = Run(handles, evicting=evicting)
    run.to_end()
    assert run.result == ["A!", "AMORE"]


def test_a_failed_future_raises_out_of_select(evicting: bool) -> None:
    """W6: as its await would."""

    @workflow
    async def raises(ctx: Context) -> str:
        try:
            await select(on_result(act(ctx, "a")))
        except ValueError as problem:
            return str(problem)
        return "nothing"

    run = Run(raises, evicting=evicting)
    run.fail("a", ValueError("bad"))
    assert run.result == "bad"


def test_otherwise_is_taken_if_nothing_before_it_is_ready() -> None:
    """W6: the default case."""

    @workflow
    async def polls(ctx: Context) -> list[Any]:
        channel = ctx.signal_channel(number)
        results = []
        for _ in range(3):
            results.append(await select(on_receive(channel), otherwise(lambda: "nothing")))
            await act(ctx, "pause")
        return [each.value if isinstance(each, Selected) else each for each in results]

    run = Run(polls)
    run.complete("pause")
    run.signal(number, 7)
    run.complete("pause")
    run.complete("pause")
    assert run.result == ["nothing", "nothing", 7]


def test_signals_and_time_race_in_a_select_loop(evicting: bool) -> None:
    """W6: the usual loop of a workflow that lives long."""

    @workflow
    async def lives(ctx: Context) -> list[Any]:
        channel, log = ctx.signal_channel(number), list[Any]()
        timer = ctx.schedule_timer(10)
        while True:
            done = await select(on_receive(channel, log.append), on_result(timer, lambda _: "over"))
            if done == "over":
                return log

    run = Run(lives, evicting=evicting)
    run.signal(number, 1)
    run.wait(9)
    run.signal(number, 2)
    run.wait(1)
    assert run.result == [1, 2]


def test_a_send_case_needs_a_receiver_and_is_sent_once() -> None:
    """W6."""

    async def body() -> list[Any]:
        channel = Channel[int]()
        early = await select(on_send(channel, 1), otherwise(lambda: "no receiver"))
        task = asyncio.create_task(channel.receive())
        await settle()
        late = await select(on_send(channel, 2, lambda: "sent"), otherwise(lambda: "no receiver"))
        return [early, late, await task, channel.can_receive()]

    assert outcome(body) == ["no receiver", "sent", 2, False]


@pytest.mark.parametrize("sender_first", [False, True])
def test_a_send_case_and_a_receive_case_meet_on_an_unbuffered_channel(sender_first: bool) -> None:
    """W6: whichever select comes first."""

    async def body() -> list[Any]:
        channel, never = Channel[int](), Channel[int]()
        sides = [select(on_receive(never), on_send(channel, 5)), select(on_receive(never), on_receive(channel))]
        if not sender_first:
            sides.reverse()
        tasks = [asyncio.create_task(side) for side in sides]
        await settle()
        return sorted(str(task.result().value) for task in tasks)

    assert outcome(body) == ["5", "None"]


def test_a_closed_channel_is_ready_and_raises() -> None:
    """W6."""

    async def body() -> int:
        channel = Channel[int]()
        channel.close()
        raised = 0
        for case in (on_receive(channel), on_send(channel, 1)):
            try:
                await select(case)
            except ChannelClosed:
                raised += 1
        return raised

    assert outcome(body) == 2


def test_a_cancelled_select_loses_nothing(evicting: bool) -> None:
    """W6: what it was woken for goes to the next one who waits."""

    @workflow
    async def cancels(ctx: Context) -> list[Any]:
        channel, inner = ctx.signal_channel(number), Channel[int](3)

        async def wait_for_one() -> Any:
            return (await select(on_receive(channel), on_receive(inner))).value

        lost = asyncio.create_task(wait_for_one())
        kept = asyncio.create_task(wait_for_one())
        await asyncio.sleep(0)
        inner.send_nowait(1)  # wakes the first
        lost.cancel()
        return [await kept, await channel.receive()]

    run = Run(cancels, evicting=evicting)
    run.signal(number, 2)
    assert run.result == [1, 2]


def test_a_select_that_takes_another_case_passes_its_wake_up_on() -> None:
    """W6: it was woken for a value, then an earlier case became ready: another receiver gets the value."""

    async def body() -> list[Any]:
        channel, first = Channel[int](3), asyncio.get_running_loop().create_future()
        task = asyncio.create_task(select(on_result(first), on_receive(channel)))
        other = asyncio.create_task(channel.receive())
        await settle()
        channel.send_nowait(1)  # wakes the select
        first.set_result("first")
        return [(await task).value, await asyncio.wait_for(other, None)]

    assert outcome(body) == ["first", 1]


def test_a_cancelled_sending_select_passes_its_wake_up_on() -> None:
    """W6: the receiver that it was woken for takes the next sender's value."""

    async def body() -> int:
        channel = Channel[int]()
        lost = asyncio.create_task(select(on_send(channel, 1)))
        kept = asyncio.create_task(select(on_send(channel, 2)))
        await settle()
        receiver = asyncio.create_task(channel.receive())
        await asyncio.sleep(0)  # the receiver has woken the first select
        lost.cancel()
        await settle()
        assert kept.done()
        return await receiver

    assert outcome(body) == 2


def test_a_case_can_be_used_again_and_by_two() -> None:
    """W6."""

    async def body() -> list[Any]:
        future = asyncio.get_running_loop().create_future()
        case = on_result(future)
        tasks = [asyncio.create_task(select(case)) for _ in range(2)]
        await settle()
        tasks[0].cancel()
        await settle()
        future.set_result("done")
        return [(await tasks[1]).value, (await select(case)).value]

    assert outcome(body) == ["done", "done"]


def test_a_selected_case_can_be_matched() -> None:
    """W6: Selected has an index and a value."""

    async def body() -> str:
        channel = Channel[int](1)
        await channel.send(3)
        match await select(on_receive(channel)):
            case Selected(0, 3):
                return "matched"
            case _:
                return "not"

    assert outcome(body) == "matched"
    assert repr(Selected(1, "x")) == "Selected(index=1, value='x')"


def test_wrong_cases_are_refused() -> None:
    """W6."""

    async def some() -> None: ...

    async def body() -> list[str]:
        texts = []
        coroutine = some()
        try:
            on_result(coroutine)
        except ConfigurationError as problem:
            texts.append(str(problem))
        coroutine.close()
        try:
            await select()
        except ConfigurationError as problem:
            texts.append(str(problem))
        return texts

    first, second = outcome(body)
    assert "create_task" in first
    assert "at least one" in second


def test_a_select_on_a_cancelled_context_is_refused_as_a_receive_is(evicting: bool) -> None:
    """W8: with_cancel cancels receives, also those of a select; new ones are refused."""

    @workflow
    async def selects(ctx: Context) -> list[str]:
        child, cancel = ctx.with_cancel()
        log = []

        async def wait() -> None:
            try:
                await select(on_receive(child.signal_channel(number)))
            except asyncio.CancelledError:
                log.append("cancelled")
            try:
                await select(on_receive(child.signal_channel(number)))
            except asyncio.CancelledError:
                log.append("refused")

        task = asyncio.create_task(wait())
        await act(ctx, "a")
        cancel()
        await task
        return log

    run = Run(selects, evicting=evicting)
    run.complete("a")
    assert run.result == ["cancelled", "refused"]


def test_the_instances_cancel_ends_a_select(evicting: bool) -> None:
    """W7: receives raise CancelledError."""

    @workflow
    async def waits(ctx: Context) -> None:
        await select(on_receive(ctx.signal_channel(number)), on_result(act(ctx, "a")))

    run = Run(waits, evicting=evicting)
    run.cancel()
    assert run.end == "CANCELLED"


def test_an_unknown_failure_raises_activity_error() -> None:
    """P2."""

    @workflow
    async def raises(ctx: Context) -> str:
        class Strange(Exception): ...

        try:
            await select(on_result(act(ctx, "a")))
        except ActivityError as problem:
            return problem.type
        return ""

    class Unknown(Exception): ...

    run = Run(raises)
    run.fail("a", Unknown("x"))
    assert run.result.endswith("Unknown")
