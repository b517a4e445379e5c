"""W5: signals are received first in, first out, and none is lost."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass
from typing import Any

import pytest

from perdure.errors import DecodeError
from perdure.model.event import CarriedSignal, ExecutionStarted, SignalReceived
from perdure.workflows.channel import ChannelEmpty
from perdure.workflows.context import Context
from perdure.workflows.definition import workflow
from perdure.workflows.signal import Signal
from tests.engine.harness import EPOCH, Run, act

number = Signal("number", int)
other = Signal("other", str)
bare = Signal("bare")


@dataclass
class Approval:
    by: str
    amount: int = 0


approval = Signal("approval", Approval)


@workflow
async def three(ctx: Context) -> list[int]:
    channel = ctx.signal_channel(number)
    return [await channel.receive() for _ in range(3)]


def test_signals_come_first_in_first_out(evicting: bool) -> None:
    """W5."""
    run = Run(three, evicting=evicting)
    for value in (1, 2, 3):
        run.signal(number, value)
    assert run.result == [1, 2, 3]


def test_signals_that_came_before_the_channel_was_made_are_kept(evicting: bool) -> None:
    """W5, DESIGN 11: early signals delivered newest first elsewhere."""

    @workflow
    async def late(ctx: Context) -> list[int]:
        await act(ctx, "first")
        return [await ctx.signal_channel(number).receive() for _ in range(3)]

    run = Run(late, evicting=evicting)
    for value in (1, 2, 3):
        run.signal(number, value)
    run.complete("first")
    assert run.result == [1, 2, 3]


def test_signals_in_the_same_task_as_the_start_are_kept() -> None:
    """W5: signals can be there before the first line runs, in one claim or before it."""
    run = Run(three, begin=False)
    payload = run.app.payloads.encode
    signals = [SignalReceived(at=EPOCH, name="number", payload=payload(value)) for value in (1, 2, 3)]
    run.feed(run.started, *signals)
    assert run.result == [1, 2, 3]


def test_ten_thousand_signals_are_kept_in_order() -> None:
    """W5, DESIGN 11: no limit."""

    @workflow
    async def many(ctx: Context) -> bool:
        await act(ctx, "first")
        channel = ctx.signal_channel(number)
        assert len(channel) == 10_000
        return [await channel.receive() for _ in range(10_000)] == list(range(10_000))

    run = Run(many)
    payload = run.app.payloads.encode
    run.feed(*[SignalReceived(at=EPOCH, name="number", payload=payload(value)) for value in range(10_000)])
    run.complete("first")
    assert run.result is True


def test_signals_of_different_names_dont_mix(evicting: bool) -> None:
    """W5."""

    @workflow
    async def both(ctx: Context) -> list[Any]:
        texts, numbers = ctx.signal_channel(other), ctx.signal_channel(number)
        received: list[Any] = [await texts.receive(), await numbers.receive()]
        await ctx.signal_channel(bare).receive()
        return received

    run = Run(both, evicting=evicting)
    run.signal(bare)
    run.signal(number, 1)
    run.signal(other, "x")
    assert run.result == ["x", 1]


def test_a_value_comes_as_the_signals_type(evicting: bool) -> None:
    """W5: typed."""

    @workflow
    async def typed(ctx: Context) -> str:
        value = await ctx.signal_channel(approval).receive()
        return f"{type(value).__name__} {value.by} {value.amount}"

    run = Run(typed, evicting=evicting)
    run.signal(approval, Approval("ada", 3))
    assert run.result == "Approval ada 3"


def test_two_receivers_share_the_signals_in_order(evicting: bool) -> None:
    """W5: channels of one signal are one queue."""

    @workflow
    async def shared(ctx: Context) -> list[int]:
        async def one() -> int:
            return await ctx.signal_channel(number).receive()

        return list(await asyncio.gather(one(), one(), one()))

    run = Run(shared, evicting=evicting)
    for value in (1, 2, 3):
        run.signal(number, value)
    assert run.result == [1, 2, 3]


def test_a_timed_out_receive_loses_no_signal(evicting: bool) -> None:
    """W5."""

    @workflow
    async def timed(ctx: Context) -> list[Any]:
        channel, log = ctx.signal_channel(number), list[Any]()
        for _ in range(3):
            try:
                async with asyncio.timeout(10):
                    log.append(await channel.receive())
            except TimeoutError:
                log.append("timeout")
        return log

    run = Run(timed, evicting=evicting)
    run.wait(10)
    run.signal(number, 1)
    run.signal(number, 2)
    assert run.result == ["timeout", 1, 2]


def test_a_signal_and_the_time_out_in_one_claim_lose_no_signal() -> None:
    """W5, E1: the timer is due first, the signal is still there for the next receive."""

    @workflow
    async def timed(ctx: Context) -> list[Any]:
        channel, log = ctx.signal_channel(number), list[Any]()
        try:
            async with asyncio.timeout(10):
                log.append(await channel.receive())
        except TimeoutError:
            log.append("timeout")
        log.append(await channel.receive())
        return log

    run = Run(timed)
    run.now += 20_000_000
    run.signal(number, 1)  # arrives at 20 s
    assert run.result == ["timeout", 1]


@pytest.mark.skipif(sys.version_info < (3, 12), reason="3.11's wait_for loses what arrives with its time-out: W2")
def test_wait_for_around_a_receive_loses_no_signal(evicting: bool) -> None:
    """W5, on 3.12 and later."""

    @workflow
    async def timed(ctx: Context) -> list[Any]:
        channel, log = ctx.signal_channel(number), list[Any]()
        for _ in range(3):
            try:
                log.append(await asyncio.wait_for(channel.receive(), 10))
            except TimeoutError:
                log.append("timeout")
        return log

    run = Run(timed, evicting=evicting)
    run.wait(10)
    run.signal(number, 1)
    run.signal(number, 2)
    assert run.result == ["timeout", 1, 2]


def test_a_cancelled_receive_loses_no_signal(evicting: bool) -> None:
    """W5."""

    @workflow
    async def cancels(ctx: Context) -> list[int]:
        lost, kept = (asyncio.create_task(ctx.signal_channel(number).receive()) for _ in range(2))
        await act(ctx, "until then")
        lost.cancel()
        return [await kept, await ctx.signal_channel(number).receive(), int(lost.cancelled())]

    run = Run(cancels, evicting=evicting)
    run.complete("until then")
    run.signal(number, 1)
    run.signal(number, 2)
    assert run.result == [1, 2, 1]


def test_a_receive_that_is_woken_and_cancelled_at_once_leaves_the_signal(evicting: bool) -> None:
    """W5: the task that is cancelled runs after the signal has woken it."""

    @workflow
    async def cancels(ctx: Context) -> list[int]:
        channel, log = ctx.signal_channel(number), list[int]()

        async def receive() -> None:
            log.append(await channel.receive())

        first = asyncio.create_task(receive())
        await asyncio.sleep(0)
        asyncio.get_running_loop().call_soon(first.cancel)
        channel._buffer.put(b"1")  # as the engine does
        await asyncio.wait([first])
        second = asyncio.create_task(receive())
        await second
        return [*log, int(first.cancelled())]

    run = Run(cancels, evicting=evicting)
    assert run.result == [1, 1]


def test_an_undecodable_payload_raises_at_its_receive_and_is_gone_then(evicting: bool) -> None:
    """W5, DESIGN 11: it crashes no worker, and the signals after it are received."""

    @workflow
    async def careful(ctx: Context) -> list[Any]:
        channel, log = ctx.signal_channel(approval), list[Any]()
        await act(ctx, "before")
        for _ in range(3):
            try:
                log.append((await channel.receive()).by)
            except DecodeError:
                log.append("bad")
        return log

    run = Run(careful, evicting=evicting)
    run.signal(approval, Approval("ada"))
    run.feed(SignalReceived(at=run.now, name="approval", payload=b'{"no": 1}'))
    run.feed(SignalReceived(at=run.now, name="approval", payload=b"not json"))
    assert run.end == "running"
    run.complete("before")
    assert run.result == ["ada", "bad", "bad"]


def test_nowait_and_iteration(evicting: bool) -> None:
    """W5."""

    @workflow
    async def iterates(ctx: Context) -> list[Any]:
        channel, log = ctx.signal_channel(number), list[Any]()
        try:
            channel.receive_nowait()
        except ChannelEmpty:
            log.append("empty")
        async for value in channel:
            log.append(value)
            if value == 2:
                return log
        return []

    run = Run(iterates, evicting=evicting)
    run.signal(number, 1)
    run.signal(number, 2)
    assert run.result == ["empty", 1, 2]


def test_unread_signals_go_on_at_continue_as_new() -> None:
    """W5, DESIGN 11: of each name in order; the read ones don't."""

    @workflow
    async def again(ctx: Context, received: list[int]) -> list[Any]:
        if not received:
            value = await ctx.signal_channel(number).receive()
            await act(ctx, "wait")
            ctx.continue_as_new(again, [value])
        texts = ctx.signal_channel(other)
        return [*received, *[await ctx.signal_channel(number).receive() for _ in range(2)], await texts.receive()]

    run = Run(again, [])
    for value in (1, 2):
        run.signal(number, value)
    run.signal(other, "x")
    run.signal(number, 3)
    checkpoint = run.complete("wait")
    assert run.end == "CONTINUED_AS_NEW"
    assert checkpoint.closing is not None
    following = checkpoint.closing.following
    assert following is not None
    assert following.started.carried == (
        CarriedSignal("number", b"2"),
        CarriedSignal("number", b"3"),
        CarriedSignal("other", b'"x"'),
    )

    next_run = Run(again, [], begin=False, execution_id=following.execution_id)
    started: ExecutionStarted = following.started
    next_run.feed(started)
    assert next_run.result == [1, 2, 3, "x"]
    next_run.assert_replays()


def test_a_signals_name_is_checked() -> None:
    """W5."""
    with pytest.raises(ValueError, match="signal's name"):
        Signal("")
