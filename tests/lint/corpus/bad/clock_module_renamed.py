import datetime as dt

from perdure import Context, workflow


@workflow
async def due(ctx: Context) -> str:
    tomorrow = dt.datetime.now(dt.UTC) + dt.timedelta(days=1)  # expect: PRD101
    today = dt.date.today()  # expect: PRD101
    return f"{tomorrow} {today}"
