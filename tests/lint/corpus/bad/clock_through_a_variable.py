from datetime import datetime

from perdure import Context, workflow

now = datetime.utcnow


@workflow
async def stamp(ctx: Context) -> str:
    clock = now
    return str(clock())  # expect: PRD101
