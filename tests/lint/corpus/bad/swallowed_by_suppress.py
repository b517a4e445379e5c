import asyncio
import contextlib

from perdure import Context, workflow


@workflow
async def stubborn(ctx: Context) -> None:
    with contextlib.suppress(asyncio.CancelledError):  # expect: PRD301
        await ctx.sleep(60)
