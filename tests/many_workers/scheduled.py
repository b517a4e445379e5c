"""A worker for schedules that is killed: `python -m tests.many_workers.scheduled URL`."""

from __future__ import annotations

import asyncio
import sys

from perdure import App, Context, Worker, activity, workflow


@activity
async def weigh(number: int) -> int:
    return number


@workflow
async def weighed(ctx: Context, number: int) -> int:
    return await ctx.execute_activity(weigh, number)


app = App(workflows=[weighed], activities=[weigh])

if __name__ == "__main__":
    asyncio.run(Worker(sys.argv[1], app, lease=2).run_forever())
