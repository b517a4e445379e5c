import asyncio
import time
from datetime import UTC, datetime, timedelta

from perdure import Context, workflow


@workflow
async def due(ctx: Context, seconds: float) -> str:
    tomorrow = ctx.now() + timedelta(days=1)
    started = asyncio.get_running_loop().time()
    day = datetime.fromtimestamp(seconds, UTC)
    noon = datetime.combine(day.date(), datetime.min.time())
    return f"{tomorrow} {started} {noon} {time.strftime('%Y', time.gmtime(seconds))}"
