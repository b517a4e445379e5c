import time

from perdure import Context, workflow


@workflow
async def stamp(ctx: Context) -> float:
    return time.time()  # noqa: PRD102, E501   # expect: PRD101
