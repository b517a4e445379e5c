from asyncio import CancelledError

from perdure import Context, workflow


@workflow
async def patient(ctx: Context) -> None:
    while True:
        try:
            await ctx.sleep(60)
        except (TimeoutError, CancelledError):  # expect: PRD301
            ctx.logger.info("never mind")
