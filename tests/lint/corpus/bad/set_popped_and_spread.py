import asyncio

from perdure import Context, activity, workflow


@activity
async def visit(town: str) -> None: ...


@workflow
async def tour(ctx: Context, towns: set[str]) -> None:
    await ctx.execute_activity(visit, towns.pop())  # expect: PRD201
    await asyncio.gather(*(ctx.execute_activity(visit, town) for town in towns))  # expect: PRD201
