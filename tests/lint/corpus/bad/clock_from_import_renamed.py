from time import monotonic as ticks

from perdure import Context, workflow


@workflow
async def measure(ctx: Context) -> float:
    before = ticks()  # expect: PRD101
    await ctx.sleep(1)
    return ticks() - before  # expect: PRD101
