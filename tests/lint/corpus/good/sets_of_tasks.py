import asyncio

from perdure import Context, workflow


@workflow
async def race(ctx: Context, count: int) -> int:
    tasks = {asyncio.create_task(ctx.sleep(number)) for number in range(count)}
    done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    for task in tasks:
        task.cancel()
    waiting: set[asyncio.Task[None]] = set()
    for number in range(count):
        waiting.add(asyncio.create_task(ctx.sleep(number)))
    await asyncio.gather(*waiting)
    return len(done)
