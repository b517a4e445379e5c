"""A workflow that never ends, yet doesn't grow: it continues as new, with a fresh history.

python -m examples.continue_as_new
"""

import asyncio

from perdure import App, Context, Orchestrator, Signal, activity, workflow

deposit = Signal("deposit", int)
close = Signal("close")

EVENTS_PER_EXECUTION = 3  # some thousands in earnest; ctx.info.continue_as_new_suggested says when


@activity
async def book(cents: int) -> None:
    """Write it into the ledger."""


@workflow
async def account(ctx: Context, balance: int = 0) -> int:
    deposits, closing = ctx.signal_channel(deposit), ctx.signal_channel(close)
    for _ in range(EVENTS_PER_EXECUTION):
        await ctx.wait_until(lambda: deposits.can_receive() or closing.can_receive())
        if not deposits.can_receive():
            break
        cents = await deposits.receive()
        await ctx.execute_activity(book, cents)
        balance += cents
    else:
        # Signals that are still unread go along; whoever waits for the result keeps waiting.
        ctx.continue_as_new(account, balance)
    return balance


app = App(workflows=[account], activities=[book])


async def main() -> None:
    async with Orchestrator("memory://", app) as perdure:
        handle = await perdure.start(account)
        for cents in range(1, 11):
            await handle.signal(deposit, cents)
        await handle.signal(close)
        print("balance:", await handle.result())
        executions = await perdure.executions(handle.instance_id)
        print("executions:", [f"{each.number} {each.state}" for each in executions])


if __name__ == "__main__":
    asyncio.run(main())
