import time

from perdure import App, Context, workflow


async def plain(ctx) -> float:
    return time.time()  # expect: PRD101


@workflow
async def parent(ctx: Context) -> float:
    return await ctx.execute_sub_workflow(child)


async def child(ctx) -> float:
    return time.time()  # expect: PRD101


app = App(workflows=[plain, parent])
