import asyncio

from perdure import Context, workflow


@workflow
async def checked(ctx: Context, text: str) -> int:
    task = asyncio.create_task(ctx.sleep(1))
    await asyncio.wait([task])
    try:
        task.result()
    except asyncio.CancelledError:
        return 0
    try:
        return int(text)
    except:  # nothing is awaited here
        return -1
