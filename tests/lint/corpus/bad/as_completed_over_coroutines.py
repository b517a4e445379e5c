import asyncio

from perdure import Context, activity, workflow


@activity
async def square(number: int) -> int:
    return number * number


@workflow
async def squares(ctx: Context, upto: int) -> list[int]:
    async def one(number: int) -> int:
        return await ctx.execute_activity(square, number)

    coroutines = [one(number) for number in range(upto)]
    ended = [await each for each in asyncio.as_completed(coroutines)]  # expect: PRD202
    for each in asyncio.as_completed({one(number) for number in range(upto)}):  # expect: PRD202
        ended.append(await each)
    return ended
