"""The workflows that the client's tests start. Few of them are ever run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from perdure.activities.definition import activity
from perdure.app import App
from perdure.workflows.context import Context
from perdure.workflows.definition import workflow
from perdure.workflows.signal import Signal


@dataclass(frozen=True)
class Order:
    id: str
    cents: int
    note: str = ""


@dataclass(frozen=True)
class Receipt:
    order_id: str


@dataclass(frozen=True)
class Approval:
    by: str


class PaymentDeclined(Exception):
    pass


approval = Signal("approval", Approval)
wake = Signal("wake")


@workflow
async def checkout(ctx: Context, order: Order, *, express: bool = False) -> Receipt:
    await ctx.signal_channel(approval).receive()
    return Receipt(order.id)


@workflow
async def ship(ctx: Context, item: str) -> int:
    return len(item)


@workflow
async def anything(ctx: Context, value: Any) -> Any:
    return value


@workflow
async def unregistered(ctx: Context) -> None:
    pass


@activity
async def charge(cents: int) -> Receipt:
    return Receipt(str(cents))


app = App(workflows=[checkout, ship, anything], activities=[charge], version="7")
