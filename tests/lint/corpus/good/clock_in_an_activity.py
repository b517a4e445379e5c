import random
import time

from perdure import Context, activity, workflow


@activity
async def stamp() -> float:
    print(random.random())
    return time.time()


@workflow
async def order(ctx: Context) -> float:
    return await ctx.execute_activity(stamp)
