"""Unhinged (Absurd's engine on SQLite): its asynchronous worker, in this process.

Its store is WAL + FULL by itself. Its worker polls, and so do those who wait for a result. For a rate neither matters:
everything is spawned, then the worker runs until there is nothing left, `in_flight` at a time, both within the time that is
measured. For latency both poll every millisecond (250 and 50 to 1,000 ms are its defaults).
Children must be in a queue, and so with a worker, of their own, and are waited for by polling: no tree.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

from unhinged.aio import AsyncTaskContext, AsyncUnhinged

from benchmarks.peers import measure
from benchmarks.peers.measure import Order, Stored

POLL_SECONDS = 0.001
FILE = "unhinged.db"
QUEUE = "bench"


async def double(x: int) -> int:
    return x * 2


async def one_activity(x: int, ctx: AsyncTaskContext) -> int:
    return int(await ctx.step("double", lambda: double(x))) + 1


async def ten_in_a_row(x: int, ctx: AsyncTaskContext) -> int:
    total = 0
    for step in range(measure.STEPS_OF_TEN):
        total += await ctx.step(f"double {step}", lambda step=step: double(x + step))
    return total


async def steps_in_a_row(steps: int, ctx: AsyncTaskContext) -> int:
    total = 0
    for step in range(steps):
        total += await ctx.step(f"double {step}", lambda step=step: double(step))
    return total


async def fan_out(width: int, ctx: AsyncTaskContext) -> int:
    return sum(await asyncio.gather(*(ctx.step(f"double {x}", lambda x=x: double(x)) for x in range(width))))


class Unhinged:
    """One file, one connection, one loop."""

    def __init__(self, app: AsyncUnhinged, *, is_served: bool) -> None:
        self._app = app
        self._is_served = is_served  # a worker polls all the time

    async def run(self, workflow: str, x: int) -> int:
        return (await self.run_all(workflow, [x], 1))[0]

    async def run_all(self, workflow: str, xs: Iterable[int], in_flight: int) -> list[int]:
        task_ids = [self._app.spawn(workflow, x)["task_id"] for x in xs]
        if not self._is_served:
            await self._app.start_worker(concurrency=in_flight, poll_interval=POLL_SECONDS, stop_when_idle=True)
        return [await self._result(task_id) for task_id in task_ids]

    async def _result(self, task_id: str) -> int:
        while not (found := self._app.fetch_task_result(task_id)).terminal:  # noqa: ASYNC110 - nothing else tells
            await asyncio.sleep(POLL_SECONDS)
        return int(found.result)

    async def start(self, x: int) -> None:
        self._app.spawn("one_activity", x)

    def settings(self) -> dict[str, Any]:
        connection = self._app.engine.connection
        pragmas = {name: connection.execute(f"pragma {name}").fetchone()[0] for name in measure.PRAGMAS}
        return {"unhinged": version("unhinged"), "sqlite": sqlite3.sqlite_version, "poll_s": POLL_SECONDS, **pragmas}


@asynccontextmanager
async def opened(order: Order) -> AsyncIterator[Unhinged]:
    app = AsyncUnhinged(str(order.folder / FILE), queue_name=QUEUE)
    for handler in (one_activity, ten_in_a_row, steps_in_a_row, fan_out):
        app.register_task(handler.__name__)(handler)
    is_served = order.case == "idle_latency"
    try:
        async with asyncio.TaskGroup() as tasks:
            if is_served:
                tasks.create_task(app.start_worker(poll_interval=POLL_SECONDS))
            yield Unhinged(app, is_served=is_served)
            app.stop_worker()
    finally:
        app.close()


def stored(order: Order) -> Stored:
    return measure.stored_in(
        order.folder / FILE, f"select count(*), count(*) filter (where state = 'completed') from t_{QUEUE}"
    )


def main(words: list[str]) -> None:
    measure.main(opened, stored, words)
