import random
import time

from perdure import Context, workflow


@workflow
async def draw(ctx: Context) -> int:
    return await ctx.side_effect(random.randint, 0, int(time.time()))  # expect: PRD101
