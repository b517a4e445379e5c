import asyncio

from perdure import Context, activity, workflow


@activity
async def charge() -> str:
    return "paid"


@workflow
async def pay(ctx: Context) -> str:
    return await asyncio.wait_for(ctx.execute_activity(charge), 60)  # expect: PRD203
