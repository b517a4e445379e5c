import asyncio

from perdure import Context, activity, workflow


@activity
async def square(number: int) -> int:
    return number * number


@workflow
async def squares(ctx: Context, upto: int) -> list[int]:
    tasks = [asyncio.create_task(ctx.sleep(number)) for number in range(upto)]
    for task in asyncio.as_completed(tasks):
        await task
    futures = [ctx.execute_activity(square, number) for number in range(upto)]
    return [await each for each in asyncio.as_completed(futures)]
