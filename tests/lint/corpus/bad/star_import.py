from time import *

from perdure import Context, workflow


@workflow
async def stamp(ctx: Context) -> float:
    return monotonic()  # expect: PRD101
