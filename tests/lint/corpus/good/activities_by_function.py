from datetime import timedelta

from perdure import Context, RetryPolicy, activity, workflow


@activity
async def charge(cents: int) -> str:
    return "paid"


def ship() -> str:
    print("a plain function as an activity")
    return open("parcel").read()


class Bank:
    @activity
    async def refund(self, cents: int) -> None:
        print(cents)


@workflow
async def order(ctx: Context) -> str:
    patient = charge.with_options(timeout=timedelta(seconds=3), retry=RetryPolicy(max_attempts=5))
    async with ctx.compensations() as undo:
        await ctx.execute_activity(patient, 100)
        undo.add(Bank.refund, 100)
        undo.add(ship)
        await ctx.execute_activity(ship)
    return await ctx.execute_activity(charge.with_options(queue="eu"), 100)
