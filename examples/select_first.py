"""`select`: wait for whatever comes first, and know which it was.

python -m examples.select_first
"""

import asyncio
from datetime import timedelta

from perdure import (
    App,
    Context,
    Orchestrator,
    Selected,
    Signal,
    activity,
    on_receive,
    on_result,
    otherwise,
    select,
    workflow,
)

bid = Signal("bid", int)
close = Signal("close")


@activity
async def appraise(lot: str) -> int:
    return 40


@workflow
async def auction(ctx: Context, lot: str, duration: timedelta) -> str:
    best = await ctx.execute_activity(appraise, lot)
    bids = ctx.signal_channel(bid)
    closing = ctx.signal_channel(close)
    end = ctx.schedule_timer(duration)
    while True:
        # Strictly in this order: a bid that is here goes before the end of the auction.
        match await select(on_receive(bids), on_receive(closing), on_result(end)):
            case Selected(0, amount):
                best = max(best, amount)
            case Selected(1):
                return f"{lot}: closed at {best}"
            case _:
                return f"{lot}: time is up at {best}"


@workflow
async def peek(ctx: Context, lot: str) -> str:
    """With handlers, and a default that is taken if nothing is ready."""
    await ctx.execute_activity(appraise, lot)
    seen: str = await select(
        on_receive(ctx.signal_channel(bid), lambda amount: f"a bid of {amount} is waiting"),
        otherwise(lambda: "no bid so far"),
    )
    return seen


app = App(workflows=[auction, peek], activities=[appraise])


async def main() -> None:
    async with Orchestrator("memory://", app) as perdure:
        handle = await perdure.start(auction, "clock", timedelta(days=7))
        for amount in [50, 45, 90]:
            await handle.signal(bid, amount)
        await handle.signal(close)
        print(await handle.result())
        print(await perdure.run(auction, "vase", timedelta(milliseconds=20)))
        print(await perdure.run(peek, "lamp"))
        print(await perdure.run(peek.with_options(start_signal=bid(7)), "lamp"))


if __name__ == "__main__":
    asyncio.run(main())
