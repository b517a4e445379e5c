import time

from perdure import Context, workflow


@workflow
async def stamps(ctx: Context, count: int) -> list[float]:
    clocks = map(lambda _: time.time_ns(), range(count))  # expect: PRD101
    first = next(iter(time.perf_counter, 0.0))  # expect: PRD101
    return [first, *clocks]
