from perdure import Context, workflow


@workflow
async def careful(ctx: Context) -> None:
    problem: BaseException | None = None
    try:
        await ctx.sleep(60)
    except BaseException:
        ctx.logger.warning("left early")
        raise
    try:
        await ctx.sleep(60)
    except BaseException as caught:
        problem = caught
    if problem is not None:
        raise problem
