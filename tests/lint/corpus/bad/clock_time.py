import time

from perdure import Context, workflow


@workflow
async def invoice(ctx: Context) -> float:
    return time.time()  # expect: PRD101
