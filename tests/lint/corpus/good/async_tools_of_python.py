import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from perdure import Context, workflow


@asynccontextmanager
async def step(ctx: Context, name: str) -> AsyncGenerator[str]:
    ctx.publish("step", name)
    yield name
    ctx.publish("step", "")


@workflow
async def stepping(ctx: Context) -> str:
    async with step(ctx, "one") as name:
        try:
            async with asyncio.timeout(5):
                await asyncio.Event().wait()
        except TimeoutError:
            pass
    return name
