from perdure import Context, activity, workflow


@activity
async def visit(town: str) -> None: ...


@workflow
async def tour(ctx: Context, towns: list[str]) -> None:
    for town in set(towns):  # expect: PRD201
        await ctx.execute_activity(visit, town)
