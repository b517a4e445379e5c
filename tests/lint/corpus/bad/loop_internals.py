import asyncio

from perdure import Context, workflow


@workflow
async def inside(ctx: Context) -> None:
    loop = asyncio.get_running_loop()
    loop.call_soon_threadsafe(ctx.publish, "a", 1)  # expect: PRD204
    loop.set_debug(True)  # expect: PRD204
    loop.add_reader(0, lambda: None)  # expect: PRD204
    asyncio.run(ctx.sleep(1))  # expect: PRD204
