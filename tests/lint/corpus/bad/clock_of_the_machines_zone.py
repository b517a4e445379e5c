import time
from datetime import datetime

from perdure import Context, workflow


@workflow
async def label(ctx: Context, seconds: float) -> str:
    day = datetime.fromtimestamp(seconds).date()  # expect: PRD101
    return time.strftime("%H:%M") + f" on {day}"  # expect: PRD101
