from datetime import timedelta

from perdure import Context, activity, workflow


@activity
async def charge() -> str:
    return "paid"


@workflow
async def pay(ctx: Context) -> str:
    payment = ctx.execute_activity(charge)  # expect: PRD501
    if ctx.wait_until(lambda: True, timedelta(days=1)):  # expect: PRD501
        return "in time"
    return "late"
