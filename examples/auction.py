"""Bids that are validated, handled and answered, and a look at the highest one: updates and queries.

python -m examples.auction
"""

import asyncio
from datetime import timedelta

from perdure import App, Context, Orchestrator, UpdateRefused, workflow


class Auction:
    highest = 0
    bidder = "nobody"

    def state(self) -> str:
        return f"{self.highest} by {self.bidder}"

    def check_bid(self, bidder: str, amount: int) -> None:
        if amount <= self.highest:
            raise ValueError(f"{amount} isn't over {self.highest}")

    def bid(self, bidder: str, amount: int) -> str:
        self.bidder, self.highest = bidder, amount
        return self.state()


@workflow
async def auction(ctx: Context, lasts: timedelta) -> str:
    state = Auction()
    ctx.on_query(state.state)
    ctx.on_update(state.bid, validator=state.check_bid)
    await ctx.sleep(lasts)
    return state.bidder


app = App(workflows=[auction])


async def main() -> None:
    async with Orchestrator("memory://", app) as perdure:
        handle = await perdure.start(auction, timedelta(milliseconds=300))
        print("Now at", await handle.update(Auction.bid, "Ada", 100))
        try:
            await handle.update(Auction.bid, "Bob", 90)
        except UpdateRefused as problem:
            print("Bob was refused:", problem.__cause__)
        print("Still at", await handle.query(Auction.state))
        print("It goes to", await handle.result())


if __name__ == "__main__":
    asyncio.run(main())
