"""Workflows with a bug each, and a test for each that passes as long as no worker crashes."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from datetime import timedelta

from perdure import App, Context, activity, workflow
from perdure.testing import WorkflowTester

NAMES = frozenset({"Ada", "Tony"})
"""Two: in every other process they have the same order, and with PYTHONHASHSEED 1 and 2."""
account: list[int] = []
letters: list[str] = []
prices: dict[str, int] = {}


@activity
async def charge(cents: int) -> int:
    """Not idempotent, and nobody says that it is."""
    account.append(cents)
    return len(account)


@activity(idempotent=True)
async def charge_that_claims_to_be(cents: int) -> int:
    """The bug: it isn't."""
    account.append(cents)
    return cents


@activity(idempotent=True)
async def price(what: str) -> int:
    return len(what)


@activity(idempotent=True)
async def note(text: str) -> None:
    pass


@workflow
async def charges(ctx: Context) -> None:
    await ctx.execute_activity(charge, 100)


@workflow
async def charges_with_a_claim(ctx: Context) -> None:
    await ctx.execute_activity(charge_that_claims_to_be, 100)


@workflow
async def writes_letters(ctx: Context) -> None:
    """The bug: a side effect outside ctx.side_effect."""
    letters.append("Dear Ada")
    await ctx.execute_activity(note, "posted")


@workflow
async def iterates_over_a_set(ctx: Context) -> None:
    for name in NAMES:
        await ctx.execute_activity(note, name)


@workflow
async def reads_a_clock(ctx: Context) -> None:
    began = time.time()
    await ctx.execute_activity(note, "begun")
    await ctx.execute_activity(note, f"took {time.time() - began} s")


@workflow
async def returns_a_clock(ctx: Context) -> float:
    await ctx.execute_activity(note, "begun")
    return time.time()


@workflow
async def decides_by_a_clock(ctx: Context) -> bool:
    await ctx.execute_activity(note, "begun")
    return time.time() < 4_000_000_000


@workflow
async def swallows_its_cancel(ctx: Context) -> str:
    with suppress(BaseException):
        await ctx.sleep(timedelta(days=3))
    return "slept well"


@workflow
async def swallows_its_cancel_and_goes_on(ctx: Context) -> None:
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await note("outside")


@workflow
async def keeps_prices_in_a_global(ctx: Context, what: str) -> int:
    if what not in prices:
        prices[what] = await ctx.execute_activity(price, what)
    await ctx.execute_activity(note, what)
    return prices[what]


app = App(
    workflows=[
        charges,
        charges_with_a_claim,
        writes_letters,
        iterates_over_a_set,
        reads_a_clock,
        returns_a_clock,
        decides_by_a_clock,
        swallows_its_cancel,
        swallows_its_cancel_and_goes_on,
        keeps_prices_in_a_global,
    ],
    activities=[charge, charge_that_claims_to_be, price, note],
)


async def is_charged_once(tester: WorkflowTester) -> None:
    account.clear()
    await tester.run(charges)


async def is_charged_once_by_the_one_with_a_claim(tester: WorkflowTester) -> None:
    account.clear()
    await tester.run(charges_with_a_claim)
    assert account == [100]


async def writes_one_letter(tester: WorkflowTester) -> list[str]:
    letters.clear()
    await tester.run(writes_letters)
    return list(letters)


async def notes_all(tester: WorkflowTester) -> None:
    await tester.run(iterates_over_a_set)


async def times_itself(tester: WorkflowTester) -> None:
    await tester.run(reads_a_clock)


async def gives_the_time(tester: WorkflowTester) -> None:
    await tester.run(returns_a_clock)


async def is_of_this_century(tester: WorkflowTester) -> None:
    assert await tester.run(decides_by_a_clock)


async def sleeps_well(tester: WorkflowTester) -> None:
    await tester.run(swallows_its_cancel)


async def is_started(tester: WorkflowTester) -> None:
    await tester.start(swallows_its_cancel_and_goes_on)
    await tester.advance(1)


async def knows_the_price(tester: WorkflowTester) -> None:
    assert await tester.run(keeps_prices_in_a_global, "cake") == 4
