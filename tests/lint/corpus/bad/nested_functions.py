import asyncio
import time

from perdure import Context, workflow


@workflow
async def nested(ctx: Context) -> list[float]:
    async def one() -> float:
        return time.time()  # expect: PRD101

    stamp = lambda: time.monotonic()  # expect: PRD101
    return [await asyncio.create_task(one()), stamp()]
