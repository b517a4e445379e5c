"""A worker process that is killed: `python -m tests.many_workers.updated URL`. What it runs is updated meanwhile."""

from __future__ import annotations

import asyncio
import sys

from perdure.activities.definition import activity
from perdure.app import App
from perdure.worker.worker import Worker
from perdure.workflows.context import Context
from perdure.workflows.definition import workflow


class Ledger:
    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx
        self.entries: list[int] = []
        self.is_open = True

    def read(self) -> list[int]:
        return self.entries

    def check_enter(self, number: int) -> None:
        if number % 10 == 0:
            raise ValueError(f"{number} is refused")

    async def enter(self, number: int) -> int:
        """Its place among all entries."""
        self.entries.append(number)
        place = len(self.entries)
        for _ in range(number % 4):
            await self.ctx.execute_activity(stamp, place)
        return place

    def close(self) -> None:
        self.is_open = False


@activity
async def stamp(place: int) -> int:
    await asyncio.sleep(0.3)
    return place


@workflow
async def ledger(ctx: Context) -> list[int]:
    state = Ledger(ctx)
    ctx.on_query(state.read)
    ctx.on_update(state.enter, validator=state.check_enter)
    ctx.on_update(state.close)
    await ctx.wait_until(lambda: not state.is_open)
    return state.entries


app = App(workflows=[ledger], activities=[stamp])


if __name__ == "__main__":
    asyncio.run(Worker(sys.argv[1], app, lease=2, grace=1, max_activities=20).run_forever())
