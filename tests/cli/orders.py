"""The App that the command line's tests name."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from datetime import timedelta

from perdure.activities.definition import activity
from perdure.app import App
from perdure.model.retry import NO_RETRY, RetryPolicy
from perdure.serialization.codecs import Compression, Encryption
from perdure.workflows.context import Context
from perdure.workflows.definition import workflow
from perdure.workflows.signal import Signal

go = Signal("go")


@activity(retry=NO_RETRY)
async def shout(text: str) -> str:
    return text.upper()


@activity
async def wait_for_ever() -> None:
    await asyncio.Event().wait()


@workflow
async def echo(ctx: Context, text: str) -> str:
    return await ctx.execute_activity(shout, text)


@dataclass
class Order:
    sku: str
    count: int = 1


class Basket:
    """What is asked for, and put in."""

    def __init__(self) -> None:
        self.items: list[str] = []

    def size(self, unit: str = "items") -> str:
        return f"{len(self.items)} {unit}"

    async def put(self, item: str) -> int:
        self.items.append(item)
        return len(self.items)


@activity(retry=RetryPolicy(max_attempts=5, initial_interval=timedelta(hours=1)))
async def pay(order: Order) -> str:
    raise ValueError("the bank is closed")


@workflow
async def order(ctx: Context, order: Order) -> str:
    return await ctx.execute_activity(pay, order)


@workflow
async def shopping(ctx: Context) -> list[str]:
    basket = Basket()
    ctx.on_query(basket.size)
    ctx.on_update(basket.put)
    await ctx.signal_channel(go).receive()
    return basket.items


@workflow
async def counting(ctx: Context, left: int) -> str:
    if left:
        ctx.continue_as_new(counting, left - 1)
    return "done"


@workflow
async def waiting(ctx: Context) -> None:
    await ctx.signal_channel(go).receive()


@workflow
async def failing(ctx: Context) -> None:
    raise ValueError("no \x1b[31mred\x1b[0m text")


@workflow
async def watching(ctx: Context) -> float:
    return time.time()


class Holder:
    app = App(workflows=[echo])


app = App(
    workflows=[echo, order, shopping, counting, waiting, failing, watching],
    activities=[shout, pay, wait_for_ever],
    codecs=[Compression(threshold_bytes=64)],
)
secretive = App(workflows=[echo], activities=[shout], codecs=[Encryption({"2026": bytes(32)}, "2026")])
no_app = 3
