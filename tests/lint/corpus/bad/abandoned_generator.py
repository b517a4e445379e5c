from collections.abc import AsyncGenerator

from perdure import Context, workflow


async def days(ctx: Context) -> AsyncGenerator[int]:
    day = 0
    while True:
        await ctx.sleep(86_400)
        day += 1
        yield day


@workflow
async def until_the_third(ctx: Context) -> int:
    async for day in days(ctx):  # expect: PRD205
        if day == 3:
            break
    async for day in days(ctx):  # expect: PRD205
        return day
    return await anext(days(ctx))  # expect: PRD205
