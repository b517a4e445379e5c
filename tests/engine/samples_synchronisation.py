"""The samples of locks, queues and their kind."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from perdure.workflows.context import Context
from tests.engine.harness import act
from tests.engine.sampling import sample


@sample(["set", "a", "b"])
async def event(ctx: Context) -> list[str]:
    gate, log = asyncio.Event(), list[str]()

    async def enter(name: str) -> None:
        await gate.wait()
        log.append(name)

    tasks = [asyncio.create_task(enter(name)) for name in "ab"]
    await act(ctx, "a")
    log.append("set")
    gate.set()
    await asyncio.wait(tasks)
    return log


@sample(["a in", "a out", "b in", "b out", "c in", "c out"])
async def lock(ctx: Context) -> list[str]:
    mutex, log = asyncio.Lock(), list[str]()

    async def enter(name: str) -> None:
        async with mutex:
            log.append(f"{name} in")
            await act(ctx, name)
            log.append(f"{name} out")

    await asyncio.gather(*[enter(name) for name in "abc"])
    return log


@sample([["A", "B", "C", "D", "E"], 2, "ValueError"])
async def semaphore(ctx: Context) -> list[Any]:
    slots, bounded, inside, most = asyncio.Semaphore(2), asyncio.BoundedSemaphore(1), 0, 0

    async def enter(name: str) -> str:
        nonlocal inside, most
        async with slots:
            inside += 1
            most = max(most, inside)
            result = await act(ctx, name)
            inside -= 1
            return str(result)

    results = await asyncio.gather(*[enter(name) for name in "abcde"])
    async with bounded:
        await asyncio.sleep(1)
    try:
        bounded.release()
    except ValueError:
        return [results, most, "ValueError"]
    return []


@sample([1, 2, 3])
async def condition(ctx: Context) -> list[int]:
    changed, items, log = asyncio.Condition(), list[int](), list[int]()

    async def consume() -> None:
        for _ in range(3):
            async with changed:
                await changed.wait_for(lambda: items)
                log.append(items.pop(0))

    task = asyncio.create_task(consume())
    for number in (1, 2, 3):
        await act(ctx, "produce")
        async with changed:
            items.append(number)
            changed.notify_all()
    await task
    return log


@sample([["A", "B", "C"], "joined", [1, 2, 3], [3, 2, 1], "QueueFull"])
async def queue(ctx: Context) -> list[Any]:
    work, done = asyncio.Queue[str](1), list[str]()

    async def consume() -> None:
        while True:
            done.append(await act(ctx, await work.get()))
            work.task_done()

    consumer = asyncio.create_task(consume())
    for name in "abc":
        await work.put(name)
    await work.join()
    consumer.cancel()
    ranked, stack = asyncio.PriorityQueue[int](), asyncio.LifoQueue[int]()
    for number in (2, 3, 1):
        ranked.put_nowait(number)
    for number in (1, 2, 3):
        stack.put_nowait(number)
    with contextlib.suppress(asyncio.QueueFull):
        work.put_nowait("x")
        work.put_nowait("y")
        return []
    return [done, "joined", [await ranked.get() for _ in range(3)], [await stack.get() for _ in range(3)], "QueueFull"]


@sample(["a", "b", "c", "all"])
async def barrier(ctx: Context) -> list[str]:
    meeting, log = asyncio.Barrier(3), list[str]()

    async def arrive(name: str) -> None:
        await act(ctx, name)
        log.append(name)
        if await meeting.wait() == 0:
            log.append("all")

    await asyncio.gather(*[arrive(name) for name in "abc"])
    return log
