"""Signals: typed messages to a running workflow. None is lost, also if it comes before anybody listens.

python -m examples.signals
"""

import asyncio
from dataclasses import dataclass

from perdure import App, Context, Orchestrator, Signal, workflow


@dataclass
class Item:
    name: str
    cents: int


add = Signal("add", Item)
checkout = Signal("checkout")  # without a value


@workflow
async def basket(ctx: Context) -> int:
    """A shopping basket that may stay open for weeks."""
    total = 0

    async def collect() -> None:
        nonlocal total
        async for item in ctx.signal_channel(add):
            total += item.cents
            ctx.publish("total", total)  # for `handle.read`, at any time, also after the end

    collecting = asyncio.create_task(collect())
    await ctx.signal_channel(checkout).receive()
    collecting.cancel()
    return total


app = App(workflows=[basket])


async def main() -> None:
    async with Orchestrator("memory://", app) as perdure:
        handle = await perdure.start(basket)
        await handle.signal(add, Item("tea", 450))
        await handle.signal(add, Item("cup", 1200))
        await handle.signal(checkout)
        print("to pay:", await handle.result())
        print("last seen:", await handle.read("total", int))


if __name__ == "__main__":
    asyncio.run(main())
