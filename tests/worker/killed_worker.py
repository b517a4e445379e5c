"""A worker process that tests stop and kill: `python -m tests.worker.killed_worker sqlite:///…`."""

from __future__ import annotations

import asyncio
import sys

from perdure.activities.definition import activity
from perdure.app import App
from perdure.worker.worker import Worker
from perdure.workflows.context import Context
from perdure.workflows.definition import workflow


@activity
async def step(seconds: float) -> int:
    await asyncio.sleep(seconds)
    return 1


@workflow
async def slow_steps(ctx: Context, count: int, seconds: float) -> int:
    return sum([await ctx.execute_activity(step, seconds) for _ in range(count)])


app = App(workflows=[slow_steps], activities=[step])


async def main(url: str) -> None:
    print("starting", flush=True)
    await Worker(url, app, grace=30).run_forever()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
