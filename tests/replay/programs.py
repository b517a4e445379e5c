"""One workflow, and what a deploy may make of it: a step inserted, deleted, swapped, renamed, with another argument."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from perdure.activities.definition import activity
from perdure.app import App
from perdure.workflows.context import Context
from perdure.workflows.definition import Workflow, workflow
from perdure.workflows.signal import Signal

go = Signal("go")


@activity
async def pay(order: str) -> str:
    return f"{order} is paid"


@activity
async def wrap(order: str) -> str:
    return f"{order} is wrapped"


@activity
async def ship(order: str) -> str:
    return f"{order} is on its way"


@activity(name="send")
async def ship_under_another_name(order: str) -> str:
    return f"{order} is on its way"


@workflow(name="order")
async def original(ctx: Context, order: str, stages: int) -> str:
    """It waits before the second stage where there is one stage alone, else behind it."""
    await ctx.execute_activity(pay, order)
    if stages == 1:
        await ctx.signal_channel(go).receive()
    await ctx.execute_activity(wrap, order)
    await ctx.execute_activity(ship, order)
    await ctx.signal_channel(go).receive()
    return order


@workflow(name="order")
async def inserted(ctx: Context, order: str, stages: int) -> str:
    await ctx.execute_activity(pay, order)
    if stages == 1:
        await ctx.signal_channel(go).receive()
    await ctx.execute_activity(pay, order)
    await ctx.execute_activity(wrap, order)
    await ctx.execute_activity(ship, order)
    await ctx.signal_channel(go).receive()
    return order


@workflow(name="order")
async def deleted(ctx: Context, order: str, stages: int) -> str:
    await ctx.execute_activity(pay, order)
    if stages == 1:
        await ctx.signal_channel(go).receive()
    await ctx.execute_activity(wrap, order)
    await ctx.signal_channel(go).receive()
    return order


@workflow(name="order")
async def swapped(ctx: Context, order: str, stages: int) -> str:
    await ctx.execute_activity(pay, order)
    if stages == 1:
        await ctx.signal_channel(go).receive()
    await ctx.execute_activity(ship, order)
    await ctx.execute_activity(wrap, order)
    await ctx.signal_channel(go).receive()
    return order


@workflow(name="order")
async def renamed(ctx: Context, order: str, stages: int) -> str:
    await ctx.execute_activity(pay, order)
    if stages == 1:
        await ctx.signal_channel(go).receive()
    await ctx.execute_activity(wrap, order)
    await ctx.execute_activity(ship_under_another_name, order)
    await ctx.signal_channel(go).receive()
    return order


@workflow(name="order")
async def other_argument(ctx: Context, order: str, stages: int) -> str:
    await ctx.execute_activity(pay, order)
    if stages == 1:
        await ctx.signal_channel(go).receive()
    await ctx.execute_activity(wrap, f"{order}, with a bow")
    await ctx.execute_activity(ship, order)
    await ctx.signal_channel(go).receive()
    return order


@workflow
async def bystander(ctx: Context) -> None:
    """No change is about it."""
    await ctx.execute_activity(pay, "bystander")
    await ctx.signal_channel(go).receive()


CHANGED: tuple[Workflow[..., Any], ...] = (inserted, deleted, swapped, renamed, other_argument)


def app_with(order: Workflow[..., Any]) -> App:
    return App(workflows=[order, bystander], activities=[pay, wrap, ship, ship_under_another_name])


app = app_with(original)
deploys = SimpleNamespace(**{each.function.__name__: app_with(each) for each in CHANGED})
