from collections.abc import AsyncGenerator
from contextlib import aclosing

from perdure import Context, Signal, workflow

add = Signal("add", int)


async def days(ctx: Context) -> AsyncGenerator[int]:
    for day in range(10):
        await ctx.sleep(86_400)
        yield day


@workflow
async def reading(ctx: Context) -> int:
    total = 0
    async for day in days(ctx):
        for _ in range(3):
            if day == 7:
                break
        total += day
    async with aclosing(days(ctx)) as some:
        async for day in some:
            break
    async for value in ctx.signal_channel(add):
        total += value
        if total > 100:
            break
    return total
