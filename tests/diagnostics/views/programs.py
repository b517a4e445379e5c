"""Workflows to look at, for the tests of views."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

from perdure.activities.context import activity_context
from perdure.activities.definition import activity
from perdure.app import App
from perdure.client.client import Client
from perdure.model.retry import NO_RETRY, RetryPolicy
from perdure.serialization.codecs import Compression
from perdure.workflows.context import Context
from perdure.workflows.definition import Workflow, workflow
from perdure.workflows.signal import Signal
from tests.worker.support import until_async

go = Signal("go", str)


class OutOfOrder(Exception):
    """What the machine says."""


@activity
async def shout(text: str) -> str:
    return text.upper()


@activity(retry=RetryPolicy(initial_interval=timedelta(hours=1)))
async def press(times: int) -> None:
    """Its next attempt is an hour away."""
    activity_context().heartbeat({"pressed": times})
    try:
        raise KeyError("coin")
    except KeyError as problem:
        raise OutOfOrder(f"after {times} times") from problem


@activity(retry=NO_RETRY)
async def break_down() -> None:
    raise OutOfOrder("for good")


@activity
async def wait_for_ever() -> None:
    await asyncio.Event().wait()


@workflow
async def pick(ctx: Context, colour: str) -> str:
    return await ctx.execute_activity(shout, colour)


@workflow
async def errand(ctx: Context, what: str) -> str:
    """One step of each kind; then it waits for a signal, beside a timer."""
    loud = await ctx.execute_activity(shout, what)
    await ctx.execute_sub_workflow(pick.with_options(instance_id=f"{ctx.info.instance_id}/pick"), "red")
    await ctx.side_effect(len, what)
    await ctx.sleep(timedelta(milliseconds=1))
    ctx.schedule_timer(timedelta(hours=1))
    return loud + await ctx.signal_channel(go).receive()


@workflow
async def pressing(ctx: Context, times: int) -> None:
    await ctx.execute_activity(press, times)


@workflow
async def breaking(ctx: Context) -> None:
    await ctx.execute_activity(break_down)


@workflow
async def lingering(ctx: Context) -> None:
    await ctx.execute_activity(wait_for_ever)


@workflow
async def counting(ctx: Context, count: int) -> int:
    if count == 2:
        return count
    ctx.continue_as_new(counting, count + 1)


@workflow
async def family(ctx: Context, children: int, generations: int) -> None:
    if generations:
        below = [ctx.execute_sub_workflow(family, children, generations - 1) for _ in range(children)]
        await asyncio.gather(*below)
    else:
        await ctx.signal_channel(go).receive()


@workflow
async def waiting(ctx: Context) -> str:
    return await ctx.signal_channel(go).receive()


@workflow
async def many_steps(ctx: Context, steps: int) -> None:
    await asyncio.gather(*(ctx.execute_activity(shout, f"step {step}") for step in range(steps)))


WORKFLOWS: list[Workflow[..., Any]] = [
    errand,
    pick,
    pressing,
    breaking,
    lingering,
    counting,
    family,
    waiting,
    many_steps,
]
ACTIVITIES = [shout, press, break_down, wait_for_ever]
app = App(workflows=WORKFLOWS, activities=ACTIVITIES, codecs=[Compression(threshold_bytes=1024)])


async def until_quiet(client: Client, instance_id: str, length: int) -> None:
    """Until its history has this length."""

    async def is_there() -> bool:
        return (await client.info(instance_id)).history_length == length

    await until_async(is_there)


def damage(file: Path) -> None:
    """Spoil all histories of a store."""
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("update perdure_events set events = x'00'")
