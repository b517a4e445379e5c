import asyncio
from contextlib import suppress

from perdure import Context, workflow


@workflow
async def own(ctx: Context) -> str:
    child, cancel = ctx.with_cancel()
    timer = child.schedule_timer(3600)
    cancel()
    try:
        await timer
    except asyncio.CancelledError:
        ctx.logger.info("as expected")
    steps: list[str] = []

    async def wait() -> None:
        try:
            await child.sleep(1)
        except asyncio.CancelledError:
            steps.append("stopped")

    await wait()
    task = asyncio.create_task(ctx.sleep(60))
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    other = asyncio.create_task(ctx.sleep(60))
    other.cancel()
    try:
        await other
    except asyncio.CancelledError:
        return "cancelled"
    return "slept"
