"""Many things at once, with plain asyncio: gather, TaskGroup, Semaphore, as_completed.

python -m examples.concurrent_activities
"""

import asyncio

from perdure import App, Context, Orchestrator, activity, workflow


@activity
async def square(number: int) -> int:
    await asyncio.sleep(0.01)
    return number * number


@activity
async def total(numbers: list[int]) -> int:
    return sum(numbers)


@workflow
async def with_gather(ctx: Context, upto: int) -> int:
    """All are started before the first is awaited; results come in the order of the calls."""
    squares = await asyncio.gather(*(ctx.execute_activity(square, number) for number in range(upto)))
    return await ctx.execute_activity(total, squares)


@workflow
async def with_a_task_group(ctx: Context, upto: int) -> int:
    """As everywhere in asyncio: if one fails, the others are cancelled, and the group raises."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(ctx.execute_activity(square, number)) for number in range(upto)]
    return await ctx.execute_activity(total, [task.result() for task in tasks])


@workflow
async def three_at_a_time(ctx: Context, upto: int) -> int:
    """A semaphore holds back what this workflow has under way; `max_activities` of a worker, what the worker has."""
    slots = asyncio.Semaphore(3)

    async def one(number: int) -> int:
        async with slots:
            return await ctx.execute_activity(square, number)

    tasks = [asyncio.create_task(one(number)) for number in range(upto)]
    squares = [await task for task in asyncio.as_completed(tasks)]  # in the order in which they ended
    return await ctx.execute_activity(total, squares)


app = App(workflows=[with_gather, with_a_task_group, three_at_a_time], activities=[square, total])


async def main() -> None:
    async with Orchestrator("memory://", app) as perdure:
        for way in (with_gather, with_a_task_group, three_at_a_time):
            print(way.name, await perdure.run(way, 20))


if __name__ == "__main__":
    asyncio.run(main())
