import asyncio

from perdure import Context, Signal, activity, workflow

ready = Signal("ready")


@activity
async def charge() -> str:
    return "paid"


async def pack(ctx: Context) -> None:
    ctx.signal_workflow("packer", ready)  # expect: PRD501
    await ctx.sleep(1)


@workflow
async def pay(ctx: Context) -> None:
    ctx.execute_activity(charge)  # expect: PRD501
    ctx.sleep(60)  # expect: PRD501
    asyncio.sleep(1)  # expect: PRD501
    ctx.signal_channel(ready).receive()  # expect: PRD501
    pack(ctx)  # expect: PRD501
