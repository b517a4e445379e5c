"""W6: channels between the tasks of one workflow, each test on stock behaviour of the workflow loop and through replay."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from perdure.workflows.channel import Channel, ChannelClosed, ChannelEmpty, ChannelFull, Waiters
from perdure.workflows.context import Context
from perdure.workflows.definition import workflow
from tests.engine.harness import Run, act

Body = Callable[[], Coroutine[Any, Any, Any]]


def outcome(body: Body) -> Any:
    """What the body returns, run as a workflow to its first block."""

    @workflow(name="body")
    async def run(ctx: Context) -> Any:
        return await body()

    done = Run(run)
    assert done.end == "COMPLETED", done.failure.traceback if done.end == "FAILED" else "it waits"
    return done.result


async def settle() -> None:
    """Let every task run as far as it can."""
    for _ in range(20):
        await asyncio.sleep(0)


def test_an_unbuffered_send_waits_for_its_receiver() -> None:
    async def body() -> list[str]:
        channel, log = Channel[int](), list[str]()

        async def send() -> None:
            await channel.send(1)
            log.append("sent")

        task = asyncio.create_task(send())
        await settle()
        log.append(f"received {await channel.receive()}")
        await task
        return log

    assert outcome(body) == ["received 1", "sent"]


def test_a_buffered_send_waits_only_when_the_buffer_is_full() -> None:
    async def body() -> list[Any]:
        channel, log = Channel[int](2), list[Any]()

        async def send() -> None:
            for number in range(4):
                await channel.send(number)
                log.append(f"sent {number}")

        task = asyncio.create_task(send())
        await settle()
        log.append(len(channel))
        received = [await channel.receive() for _ in range(4)]
        await task
        return [*log[:3], received]

    assert outcome(body) == ["sent 0", "sent 1", 2, [0, 1, 2, 3]]


def test_without_a_limit_no_send_waits() -> None:
    async def body() -> int:
        channel = Channel[int](None)
        for number in range(1000):
            await channel.send(number)
        return len(channel)

    assert outcome(body) == 1000


@pytest.mark.parametrize("capacity", [0, 1, 3, None])
def test_values_come_first_in_first_out(capacity: int | None) -> None:
    async def body() -> list[int]:
        channel = Channel[int](capacity)

        async def send() -> None:
            for number in range(20):
                await channel.send(number)
            channel.close()

        async with asyncio.TaskGroup() as group:
            group.create_task(send())
            return [value async for value in channel]
        raise AssertionError

    assert outcome(body) == list(range(20))


def test_receivers_are_served_in_order() -> None:
    async def body() -> list[Any]:
        channel, log = Channel[int](), list[Any]()

        async def receive(name: str) -> None:
            log.append((name, await channel.receive()))

        tasks = [asyncio.create_task(receive(name)) for name in "abc"]
        await settle()
        for number in range(3):
            await channel.send(number)
        await asyncio.wait(tasks)
        return log

    assert outcome(body) == [["a", 0], ["b", 1], ["c", 2]]


def test_nowait_forms_say_what_is_missing() -> None:
    async def body() -> list[str]:
        channel, log = Channel[int](1), list[str]()
        for attempt in (channel.receive_nowait, lambda: channel.send_nowait(1), lambda: channel.send_nowait(2)):
            try:
                attempt()
                log.append("done")
            except (ChannelEmpty, ChannelFull) as problem:
                log.append(type(problem).__name__)
        return log

    assert outcome(body) == ["ChannelEmpty", "done", "ChannelFull"]


def test_an_unbuffered_channel_takes_a_value_without_waiting_if_somebody_receives() -> None:
    async def body() -> list[Any]:
        channel = Channel[int]()
        with pytest.raises(ChannelFull):
            channel.send_nowait(0)
        task = asyncio.create_task(channel.receive())
        await settle()
        channel.send_nowait(1)
        with pytest.raises(ChannelFull):
            channel.send_nowait(2)  # the one receiver has its value
        return [await task]

    assert outcome(body) == [1]


def test_closing_lets_what_was_sent_be_received_and_nothing_more() -> None:
    async def body() -> list[Any]:
        channel = Channel[int](2)
        await channel.send(1)
        channel.close()
        log: list[Any] = [channel.is_closed, await channel.receive()]
        for attempt in (channel.receive(), channel.send(2)):
            try:
                await attempt
            except ChannelClosed:
                log.append("closed")
        return log

    assert outcome(body) == [True, 1, "closed", "closed"]


def test_closing_wakes_everybody_who_waits() -> None:
    async def body() -> list[str]:
        receiving, sending, log = Channel[int](), Channel[int](), list[str]()

        async def expect_closed(waiting: Coroutine[Any, Any, Any], name: str) -> None:
            try:
                await waiting
            except ChannelClosed:
                log.append(name)

        async with asyncio.TaskGroup() as group:
            group.create_task(expect_closed(receiving.receive(), "receiver"))
            group.create_task(expect_closed(sending.send(1), "sender"))
            await settle()
            receiving.close()
            sending.close()
        return log

    assert sorted(outcome(body)) == ["receiver", "sender"]


def test_a_cancelled_send_sends_nothing() -> None:
    async def body() -> list[Any]:
        channel = Channel[int]()
        lost = asyncio.create_task(channel.send(1))
        kept = asyncio.create_task(channel.send(2))
        await settle()
        lost.cancel()
        await settle()
        value = await channel.receive()
        await kept
        return [value, channel.can_receive()]

    assert outcome(body) == [2, False]


def test_a_cancelled_receive_loses_nothing() -> None:
    """The value goes to the next receiver, even if the first was woken for it already."""

    async def body() -> list[int]:
        channel = Channel[int](5)
        first, second = (asyncio.create_task(channel.receive()) for _ in range(2))
        await settle()
        channel.send_nowait(1)  # wakes the first
        first.cancel()
        return [await second]

    assert outcome(body) == [1]


def test_a_timed_out_receive_loses_nothing() -> None:
    @workflow(name="timed")
    async def timed(ctx: Context) -> list[Any]:
        channel, log = Channel[str](), list[Any]()

        async def feed() -> None:
            await channel.send(await act(ctx, "late"))

        task = asyncio.create_task(feed())
        try:
            async with asyncio.timeout(5):
                log.append(await channel.receive())
        except TimeoutError:
            log.append("timed out")
        log.append(await channel.receive())
        await task
        return log

    run = Run(timed, evicting=True)
    run.wait(5)
    run.complete("late", "value")
    assert run.result == ["timed out", "value"]


def test_a_sender_that_was_cancelled_a_moment_ago_doesnt_hold_up_the_next() -> None:
    """Room in the buffer goes to the first sender that still waits."""

    async def body() -> list[Any]:
        channel = Channel[int](1)
        await channel.send(0)
        lost, kept = asyncio.create_task(channel.send(1)), asyncio.create_task(channel.send(2))
        await settle()
        lost.cancel()
        received = channel.receive_nowait()  # before the cancelled task has run
        await settle()
        return [received, kept.done(), await channel.receive()]

    assert outcome(body) == [0, True, 2]


def test_a_waiter_leaves_without_a_look_at_the_others() -> None:
    """DESIGN 11: no quadratic scans."""
    compared = 0

    class Counted(asyncio.Future[None]):
        def __eq__(self, other: object) -> bool:
            nonlocal compared
            compared += 1
            return self is other

        __hash__ = object.__hash__

    loop = asyncio.new_event_loop()
    waiters, futures = Waiters(), [Counted(loop=loop) for _ in range(2000)]
    for future in futures:
        waiters.add(future)
    while waiters.wake_next():
        pass
    for future in futures:
        waiters.add(future)
    for future in reversed(futures):
        waiters.discard(future)
    loop.close()
    assert not waiters
    assert compared == 0
