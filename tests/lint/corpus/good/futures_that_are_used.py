import asyncio

from perdure import Context, activity, on_result, select, workflow


@activity
async def charge(cents: int) -> str:
    return "paid"


async def helper(ctx: Context) -> str:
    return await ctx.execute_activity(charge, 1)


@workflow
async def pay(ctx: Context) -> list[str]:
    first = ctx.execute_activity(charge, 1)
    several = [ctx.execute_activity(charge, cents) for cents in range(3)]
    by_name = {"a": ctx.execute_activity(charge, 7)}
    task = asyncio.create_task(helper(ctx))
    asyncio.ensure_future(helper(ctx))
    await select(on_result(first), on_result(by_name["a"]))
    timer = ctx.schedule_timer(60)
    timer.cancel()
    return [await task, *await asyncio.gather(*several)]
