"""The samples of tasks, waiting and time."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from perdure.workflows.context import Context
from tests.engine.harness import act
from tests.engine.sampling import after, sample


@sample(["A", "woke", "B"])
async def sleep(ctx: Context) -> list[Any]:
    return [await act(ctx, "a"), await asyncio.sleep(5, "woke"), await act(ctx, "b")]


@sample(["timeout", "in time"])
async def timeout(ctx: Context) -> list[Any]:
    log = []
    for seconds in (9, 3):
        try:
            async with asyncio.timeout(5):
                log.append(await after(seconds, "in time"))
        except TimeoutError:
            log.append("timeout")
    return log


@sample(["expired", True])
async def timeout_at(ctx: Context) -> list[Any]:
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout_at(loop.time() + 5) as scope:
            scope.reschedule(loop.time() + 7)
            await asyncio.Event().wait()
    except TimeoutError:
        return ["expired", scope.expired() and loop.time() == 7]
    return []


@sample(["in time", "timeout", "nested"])
async def timeouts_nested(ctx: Context) -> list[Any]:
    log: list[Any] = []
    async with asyncio.timeout(100):
        log.append(await after(1, "in time"))
        try:
            async with asyncio.timeout(5):
                await act(ctx, "a")
                await asyncio.sleep(50)
        except TimeoutError:
            log.append("timeout")
        try:
            async with asyncio.timeout(5), asyncio.timeout(10):
                await asyncio.sleep(7)
        except TimeoutError:
            log.append("nested")
    return log


@sample(["A", "timeout", "no limit"])
async def wait_for(ctx: Context) -> list[Any]:
    log = [await asyncio.wait_for(act(ctx, "a"), 50)]
    try:
        await asyncio.wait_for(after(9, "late"), 5)
    except TimeoutError:
        log.append("timeout")
    return [*log, await asyncio.wait_for(after(3, "no limit"), None)]


@sample([["A", "slow", "B"], ["A", "ValueError"]])
async def gather(ctx: Context) -> list[Any]:
    async def fail() -> None:
        await asyncio.sleep(1)
        raise ValueError

    first = await asyncio.gather(act(ctx, "a"), after(3, "slow"), act(ctx, "b"))
    second = await asyncio.gather(act(ctx, "a"), fail(), return_exceptions=True)
    return [first, [second[0], type(second[1]).__name__]]


@sample(["ValueError", "still going"])
async def gather_failing(ctx: Context) -> list[Any]:
    async def fail() -> None:
        await act(ctx, "a")
        raise ValueError

    other = asyncio.create_task(after(5, "still going"))
    try:
        await asyncio.gather(fail(), other)
    except ValueError:
        return ["ValueError", await other]
    return []


@sample(["A", "B", 3])
async def task_group(ctx: Context) -> list[Any]:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(act(ctx, "a")), group.create_task(act(ctx, "b")), group.create_task(after(3, 3))]
    return [task.result() for task in tasks]


@sample(["cancelled 2", "cancelled 1", "cancelled 0", "['ValueError']"])
async def task_group_failing(ctx: Context) -> list[str]:
    log: list[str] = []

    async def wait(number: int) -> None:
        try:
            await asyncio.sleep(100)
        finally:
            log.append(f"cancelled {number}")

    async def fail() -> None:
        await act(ctx, "a")
        raise ValueError

    try:
        async with asyncio.TaskGroup() as group:
            for number in (2, 1, 0):
                group.create_task(wait(number))
            group.create_task(fail())
    except* ValueError as problems:
        log.append(str([type(each).__name__ for each in problems.exceptions]))
    return log


@sample([["fast"], ["slow"], ["fast", "slow"], [], ["failed"]])
async def wait(ctx: Context) -> list[Any]:
    async def fail() -> None:
        await asyncio.sleep(1)
        raise ValueError

    slow = asyncio.create_task(after(9, "slow"), name="slow")
    fast = asyncio.create_task(after(3, "fast"), name="fast")
    failed = asyncio.create_task(fail(), name="failed")
    asyncio.get_running_loop().call_later(20, lambda: None)

    def names(tasks: set[asyncio.Task[Any]]) -> list[str]:
        return sorted(task.get_name() for task in tasks)

    done, pending = await asyncio.wait([slow, fast], return_when=asyncio.FIRST_COMPLETED)
    all_done, none = await asyncio.wait([slow, fast])
    raised, _ = await asyncio.wait([failed, slow], return_when=asyncio.FIRST_EXCEPTION)
    return [names(done), names(pending), names(all_done), names(none), names({failed} & raised)]


@sample([0, 2, [["x", "y"], []]])
async def wait_with_time_out(ctx: Context) -> list[Any]:
    x, y = asyncio.create_task(after(3, "x")), asyncio.create_task(after(4, "y"))
    done, pending = await asyncio.wait([x, y], timeout=1)
    both, rest = await asyncio.wait([x, y], timeout=50)
    return [len(done), len(pending), [sorted(task.result() for task in both), list(rest)]]


@sample(["1", "2", "3", "timeout"])
async def as_completed(ctx: Context) -> list[Any]:
    tasks = [asyncio.create_task(after(seconds, str(seconds))) for seconds in (3, 1, 2, 90)]
    log: list[Any] = []
    try:
        for nearest in asyncio.as_completed(tasks, timeout=10):
            log.append(await nearest)
    except TimeoutError:
        log.append("timeout")
    return log


@sample([["x", "A"], ["y", "B"]], since=(3, 13))
async def as_completed_async(ctx: Context) -> list[Any]:
    async def one(name: str) -> str:
        return str(await act(ctx, name))

    tasks = {asyncio.create_task(one("a")): "x", asyncio.create_task(one("b")): "y"}
    return [[tasks[task], await task] async for task in asyncio.as_completed(tasks)]  # type: ignore[attr-defined]


@sample(["CancelledError", "A", "done"])
async def shield(ctx: Context) -> list[Any]:
    async def inner() -> str:
        await act(ctx, "a")
        return "done"

    task = asyncio.create_task(inner())
    outer = asyncio.shield(task)
    waiting = asyncio.create_task(asyncio.wait([outer]))
    asyncio.get_running_loop().call_soon(outer.cancel)
    await waiting
    log: list[Any] = ["CancelledError" if outer.cancelled() else "no"]
    return [*log, await act(ctx, "a"), await task]


@sample(["named", True, "x: set", "main: unset"])
async def tasks_with_names_and_contexts(ctx: Context) -> list[Any]:
    import contextvars

    variable = contextvars.ContextVar("variable", default="unset")

    async def show(name: str) -> str:
        await act(ctx, "a")
        return f"{name}: {variable.get()}"

    own = contextvars.copy_context()
    own.run(variable.set, "set")
    task = asyncio.create_task(show("x"), name="named", context=own)
    current = asyncio.current_task()
    return [task.get_name(), current in asyncio.all_tasks(), await task, await show("main")]


@sample(["cancelled", True, 0])
async def cancelling_a_task(ctx: Context) -> list[Any]:
    async def waits() -> str:
        try:
            await asyncio.sleep(100)
        except asyncio.CancelledError:
            current = asyncio.current_task()
            assert current is not None
            current.uncancel()
            return f"cancelled {await act(ctx, 'cleanup')}" and "cancelled"
        return ""

    task = asyncio.create_task(waits())
    await act(ctx, "a")
    asked = task.cancel()
    return [await task, asked, task.cancelling()]


@sample([0, 1, "closed"])
async def async_generator(ctx: Context) -> list[Any]:
    log: list[Any] = []

    async def numbers() -> AsyncIterator[int]:
        try:
            for number in range(100):
                await act(ctx, "next")
                yield number
        finally:
            log.append("closed")

    async with contextlib.aclosing(numbers()) as stream:  # type: ignore[type-var]
        async for number in stream:
            log.append(number)
            if number == 1:
                break
    return log


@sample(["inner", "outer", "TimeoutError"])
async def exit_stack(ctx: Context) -> list[str]:
    log: list[str] = []

    @contextlib.asynccontextmanager
    async def resource(name: str) -> AsyncIterator[None]:
        await act(ctx, name)
        try:
            yield
        finally:
            await act(ctx, name)
            log.append(name)

    try:
        async with asyncio.timeout(5), contextlib.AsyncExitStack() as stack:
            await stack.enter_async_context(resource("outer"))
            await stack.enter_async_context(resource("inner"))
            await asyncio.sleep(50)
    except TimeoutError:
        log.append("TimeoutError")
    return log


@sample([["soon", "later"], True])
async def callbacks(ctx: Context) -> list[Any]:
    loop, log = asyncio.get_running_loop(), list[str]()
    loop.call_soon(log.append, "soon")
    loop.call_soon(log.append, "never").cancel()
    loop.call_later(3, log.append, "later")
    handle = loop.call_at(loop.time() + 4, log.append, "never")
    await asyncio.sleep(3.5)
    handle.cancel()
    await asyncio.sleep(2)
    return [log, handle.cancelled() and handle.when() == 4]


@sample([["A0", "A1", "A2"], ["B0", "B1", "B2"]])
async def two_pipelines(ctx: Context) -> list[list[str]]:
    async def pipeline(name: str) -> list[str]:
        results = []
        for number in range(3):
            results.append(await act(ctx, f"{name}{number}"))
            await asyncio.sleep(number)
        return results

    first, second = asyncio.create_task(pipeline("a")), asyncio.create_task(pipeline("b"))
    return [await first, await second]
