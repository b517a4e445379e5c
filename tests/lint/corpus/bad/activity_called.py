from perdure import Context, activity, workflow


class Bank:
    @activity
    async def charge(self, cents: int) -> str:
        return "paid"


@activity(name="ship-it")
def ship() -> None: ...


@workflow
async def order(ctx: Context, bank: Bank) -> str:
    ship()  # expect: PRD503
    return await bank.charge(100)  # expect: PRD503
