"""The App of the browser's tests: the workflows of the examples, and some of a shop, so that a page has something of everything."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from examples import approval, auction, continue_as_new, errors_and_retries, saga, sub_workflows, timer
from perdure.activities.context import activity_context
from perdure.activities.definition import activity
from perdure.app import App
from perdure.model.retry import NO_RETRY, RetryPolicy
from perdure.workflows.context import Context
from perdure.workflows.definition import Workflow, workflow
from perdure.workflows.signal import Signal

approved = Signal("approved", str)
QUEUES = ("default", "warehouse")
"""Of the workers."""


@dataclass
class Item:
    name: str
    count: int = 1


@dataclass
class Order:
    customer: str
    items: list[Item]
    cents: int


class BankClosed(Exception):
    """Why nothing is charged or paid back."""


refused = {"Mallory"}
"""Whose card is no good."""


@activity(retry=NO_RETRY, queue="warehouse")
async def reserve(item: Item) -> str:
    return f"{item.count} x {item.name}, shelf {len(item.name)}"


@activity(retry=RetryPolicy(max_attempts=4, initial_interval=timedelta(milliseconds=50)))
async def charge_card(customer: str, cents: int) -> str:
    attempt = activity_context().attempt
    if attempt < 3 or customer in refused:
        raise ConnectionError(f"the bank doesn't answer {customer} (attempt {attempt})")
    return f"receipt over {cents / 100:.2f}"


@activity(retry=RetryPolicy(initial_interval=timedelta(hours=2), max_interval=timedelta(hours=2)))
async def pay_back(customer: str, cents: int) -> str:
    """The first attempt fails, and the next one is far away, until somebody sees to it."""
    if activity_context().attempt == 1:
        raise BankClosed(f"{cents} cents for {customer}: open again on Monday")
    return f"{cents} cents for {customer}"


@activity(retry=NO_RETRY)
async def drive(parcel: str) -> str:
    """The heartbeat tells where it is, for as long as it takes."""
    for street in range(1, 1_000_000):
        activity_context().heartbeat({"street": street, "parcel": parcel})
        await asyncio.sleep(0.2)
    return parcel


@workflow
async def order(ctx: Context, wanted: Order) -> dict[str, str]:
    """An activity for each item side by side, a charge that needs three attempts, a timer, a person, a sub-workflow."""
    shelves = await asyncio.gather(*(ctx.execute_activity(reserve, item) for item in wanted.items))
    receipt = await ctx.execute_activity(charge_card, wanted.customer, wanted.cents)
    number = await ctx.side_effect(lambda: 4_000 + wanted.cents % 1_000)
    await ctx.sleep(timedelta(milliseconds=30))
    who = "nobody, for it is cheap"
    if wanted.cents > 10_000:
        who = await ctx.signal_channel(approved).receive()
    parcel = await ctx.execute_sub_workflow(delivery, f"parcel {number}")
    return {"receipt": receipt, "approved by": who, "parcel": parcel, "shelves": "; ".join(shelves)}


@activity
async def pack(parcel: str) -> str:
    return f"{parcel}, packed"


@workflow
async def delivery(ctx: Context, parcel: str) -> str:
    return await ctx.execute_sub_workflow(leg, parcel)


@workflow
async def leg(ctx: Context, parcel: str) -> str:
    return await ctx.execute_activity(pack, parcel)


@workflow
async def refund(ctx: Context, customer: str, cents: int) -> str:
    return await ctx.execute_activity(pay_back, customer, cents)


@workflow
async def courier(ctx: Context, parcel: str) -> str:
    return await ctx.execute_activity(drive, parcel)


@workflow
async def report(ctx: Context) -> str:
    """Runs of a schedule."""
    return f"no news at {ctx.now():%H:%M}"


@workflow
async def subscription(ctx: Context, customer: str) -> str:
    return f"{customer}: {await ctx.signal_channel(approved).receive()}"


@workflow(name="subscription")
async def changed_subscription(ctx: Context, customer: str) -> str:
    """What `subscription` became: it doesn't repeat its history."""
    await ctx.execute_activity(pack, customer)
    return ""


_OF_EXAMPLES: list[Workflow[..., Any]] = [
    approval.approve,
    auction.auction,
    continue_as_new.account,
    errors_and_retries.pay,
    saga.trip,
    sub_workflows.breakfast,
    sub_workflows.cook,
    sub_workflows.party,
    timer.afternoon,
]
_THEIR_ACTIVITIES = [
    approval.ask,
    continue_as_new.book,
    errors_and_retries.charge,
    saga.book_flight,
    saga.book_hotel,
    saga.give_back,
    sub_workflows.bake,
    timer.brew,
    timer.send,
]


def _app(of_subscriptions: Workflow[[str], str]) -> App:
    return App(
        workflows=[order, delivery, leg, refund, courier, report, of_subscriptions, *_OF_EXAMPLES],
        activities=[reserve, charge_card, pay_back, drive, pack, *_THEIR_ACTIVITIES],
        version="2026.11",
    )


app = _app(subscription)
deployed = _app(changed_subscription)
"""The same after a deploy that gets instances stuck."""
