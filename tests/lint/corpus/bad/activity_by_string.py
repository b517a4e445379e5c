from perdure import Context, workflow

SHIP = "ship"


@workflow
async def order(ctx: Context) -> None:
    await ctx.execute_activity("charge", 100)  # expect: PRD502
    await ctx.execute_activity(SHIP)  # expect: PRD502
    await ctx.execute_sub_workflow("notify")  # expect: PRD502
