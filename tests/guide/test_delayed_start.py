"""Starts that are due later, on every store (docs/clients.md)."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from perdure import App, Client, Context, Orchestrator, Signal, WorkflowCancelled, workflow

DAY = timedelta(days=1)
DELAY = timedelta(milliseconds=400)
CLOCKS = timedelta(milliseconds=20)  # what the measured times of a server may differ by
hurry = Signal("hurry", str)


@workflow
async def remind(ctx: Context, whom: str) -> tuple[str, datetime]:
    return whom, ctx.now()


@workflow
async def parent(ctx: Context) -> tuple[datetime, datetime]:
    began_at = ctx.now()
    _, child_began_at = await ctx.execute_sub_workflow(remind.with_options(start_delay=DELAY), "child")
    return began_at, child_began_at


@workflow
async def hurried(ctx: Context) -> str:
    return await ctx.signal_channel(hurry).receive()


app = App(workflows=[remind, parent, hurried])


async def test_c1_a_delayed_start_begins_when_its_delay_is_over(store_url: str) -> None:
    async with Orchestrator(store_url, app) as perdure:
        handle = await perdure.start(remind.with_options(start_delay=DELAY), "Ada")
        _, began_at = await handle.result()

        info = await handle.info()
        assert began_at - info.created_at >= DELAY - CLOCKS


async def test_c1_a_delayed_start_needs_nobody_until_it_is_due(store_url: str) -> None:
    async with Client(store_url) as client:
        handle = await client.start(remind.with_options(start_delay=0.2), "Ada")
        created_at = (await handle.info()).created_at
        while datetime.now(UTC) < created_at + timedelta(seconds=0.5):
            await asyncio.sleep(0.05)
    async with Orchestrator(store_url, app) as perdure:
        whom, _ = await perdure.result(handle.instance_id, remind)

    assert whom == "Ada"


async def test_c1_it_waits_until_it_is_due_and_says_when(store_url: str) -> None:
    async with Orchestrator(store_url, app) as perdure:
        later = await perdure.start(remind.with_options(start_delay=DAY), "Ada")
        await perdure.run(remind, "Grace")

        info = await later.info()
        assert (info.state, info.history_length) == ("running", 0)
        assert info.due_at == info.created_at + DAY


async def test_c1_what_is_sent_to_a_delayed_instance_begins_it(store_url: str) -> None:
    async with Orchestrator(store_url, app) as perdure:
        handle = await perdure.start(hurried.with_options(start_delay=DAY))
        await handle.signal(hurry, "at once")
        assert await handle.result() == "at once"

        cancelled = await perdure.start(hurried.with_options(start_delay=DAY))
        await cancelled.cancel()
        with pytest.raises(WorkflowCancelled):
            await cancelled.result()


async def test_c1_a_delayed_start_repeated_is_one(store_url: str) -> None:
    tomorrow = remind.with_options(instance_id="reminder", if_exists="use", start_delay=DAY)
    async with Client(store_url, app) as client:
        first = await client.start(tomorrow, "Ada")
        due_at = (await first.info()).due_at
        second = await client.start(tomorrow, "Ada")

        assert (await second.info()).due_at == due_at


async def test_w11_a_sub_workflow_can_be_delayed(store_url: str) -> None:
    async with Orchestrator(store_url, app) as perdure:
        began_at, child_began_at = await perdure.run(parent)

    assert child_began_at - began_at >= DELAY - CLOCKS
