import asyncio

from perdure import Context, workflow


@workflow
async def race(ctx: Context, names: list[str]) -> list[str]:
    tasks = {asyncio.create_task(ctx.sleep(1)): name for name in names}
    ended: list[str] = []
    async for task in asyncio.as_completed(tasks):  # expect: PRD203
        ended.append(tasks[task])
    for task in asyncio.as_completed(list(tasks)):
        ended.append(tasks[task])  # expect: PRD203
    return ended
