"""Timers that outlive the process: sleep, a reminder, a time-out.

python -m examples.timer
"""

import asyncio
from datetime import timedelta

from perdure import App, Context, Orchestrator, activity, workflow

REMINDER = timedelta(milliseconds=50)  # a month would do as well: a waiting workflow costs a row, no memory, no thread
PATIENCE = timedelta(milliseconds=200)


@activity
async def send(text: str) -> None:
    print(text)


@activity
async def brew(seconds: float) -> str:
    await asyncio.sleep(seconds)
    return "tea"


@workflow
async def afternoon(ctx: Context, brewing_seconds: float) -> str:
    started_at = ctx.now()
    await ctx.sleep(REMINDER)  # `await asyncio.sleep(0.05)` is the same durable timer
    await ctx.execute_activity(send, "Time for tea.")
    assert ctx.now() - started_at >= REMINDER  # the workflow's own clock, the same on replay

    try:
        async with ctx.timeout(PATIENCE):
            return await ctx.execute_activity(brew, brewing_seconds)
    except TimeoutError:
        return "water"


app = App(workflows=[afternoon], activities=[send, brew])


async def main() -> None:
    async with Orchestrator("memory://", app) as perdure:
        print("We had", await perdure.run(afternoon, 0.01))
        print("We had", await perdure.run(afternoon, 0.5))


if __name__ == "__main__":
    asyncio.run(main())
