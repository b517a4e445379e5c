from perdure import Context, workflow


@workflow
async def forever(ctx: Context, count: int) -> None:
    try:
        await ctx.sleep(60)
        ctx.continue_as_new(forever, count + 1)
    except BaseException as problem:  # expect: PRD302
        ctx.logger.warning("went wrong: %s", problem)
