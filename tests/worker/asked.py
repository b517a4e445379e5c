"""Workflows that are asked and updated."""

from __future__ import annotations

from perdure.activities.definition import activity
from perdure.app import App
from perdure.errors import RunawayWorkflow
from perdure.workflows.context import Context
from perdure.workflows.definition import workflow
from perdure.workflows.signal import Signal

go_on = Signal("go on", int)


class NoCover(Exception):
    pass


class Account:
    """The state of `bank`."""

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx
        self.cents = 0
        self.is_open = True

    def balance(self, *, in_euros: bool = False) -> float:
        return self.cents / 100 if in_euros else self.cents

    def fail(self) -> None:
        raise NoCover("nothing here")

    def check_pay(self, cents: int) -> None:
        if self.cents + cents < 0:
            raise NoCover(f"{self.cents} is less than {-cents}")

    async def pay(self, cents: int) -> int:
        self.cents += cents
        if cents == 13:
            raise NoCover("unlucky")
        return await self.ctx.execute_activity(book, self.cents)

    def close(self) -> str:
        self.is_open = False
        return "closed"


@activity
async def book(cents: int) -> int:
    return cents


@workflow
async def bank(ctx: Context) -> int:
    account = Account(ctx)
    ctx.on_query(account.balance)
    ctx.on_query(account.fail)
    ctx.on_update(account.pay, validator=account.check_pay)
    ctx.on_update(account.close)
    await ctx.wait_until(lambda: not account.is_open)
    await ctx.wait_until(lambda: not ctx.open_updates)
    return account.cents


@workflow
async def rounds(ctx: Context, done: int = 0) -> int:
    """Each update is handled by the next execution."""
    handled: list[int] = []

    def add(number: int) -> int:
        handled.append(number)
        return done + len(handled)

    ctx.on_update(add)
    ctx.on_query(lambda: done, name="done")
    await ctx.wait_until(lambda: handled)
    if done == 2:
        return done + 1
    ctx.continue_as_new(rounds, done + 1)


@workflow
async def stubborn(ctx: Context) -> None:
    """It doesn't survive its signal."""
    received: list[int] = []
    ctx.on_query(lambda: received, name="received")
    received.append(await ctx.signal_channel(go_on).receive())
    raise SystemError from RunawayWorkflow()


@workflow
async def hasty(ctx: Context) -> None:
    """It doesn't wait for its updates."""

    async def slow() -> None:
        await ctx.sleep(100)

    ctx.on_update(slow)
    await ctx.signal_channel(go_on).receive()


app = App(workflows=[bank, rounds, stubborn, hasty], activities=[book], exceptions=[NoCover])
