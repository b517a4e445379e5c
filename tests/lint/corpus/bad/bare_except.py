from perdure import Context, activity, workflow


@activity
async def charge() -> str:
    return "paid"


@workflow
async def pay(ctx: Context) -> str:
    try:
        return await ctx.execute_activity(charge)
    except:  # expect: PRD302
        return "not paid"
