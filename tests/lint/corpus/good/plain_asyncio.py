import asyncio

from perdure import Context, activity, workflow


@activity
async def square(number: int) -> int:
    return number * number


@workflow
async def everything(ctx: Context) -> int:
    lock, event, queue = asyncio.Lock(), asyncio.Event(), asyncio.Queue[int]()
    async with lock, asyncio.timeout(60):
        event.set()
        queue.put_nowait(await asyncio.shield(ctx.execute_activity(square, 3)))
    asyncio.get_running_loop().call_later(5, event.clear)
    async with asyncio.TaskGroup() as group:
        group.create_task(asyncio.sleep(1))
        group.create_task(ctx.execute_activity(square, 4))
    task = asyncio.create_task(queue.get())
    await asyncio.gather(task, asyncio.sleep(0))
    return task.result()
