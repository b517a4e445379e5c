from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from typing import Any

import pytest

from perdure.activities.definition import activity
from perdure.app import App
from perdure.client.client import Client
from perdure.errors import ConfigurationError, InvalidName
from perdure.model.inspection import QueueLimits
from perdure.orchestrator import Orchestrator
from perdure.workflows.context import Context
from perdure.workflows.definition import workflow


@activity
async def paint(number: int) -> int:
    return number


@workflow
async def picture(ctx: Context) -> int:
    return await ctx.execute_activity(paint.with_options(queue="gpu"), 7)


app = App(workflows=[picture], activities=[paint])


@pytest.fixture
async def client(store_url: str) -> AsyncIterator[Client]:
    async with Orchestrator(store_url, app, queues=["default", "gpu"]) as client:
        yield client


async def test_limits_are_set_and_read(client: Client) -> None:
    await client.queues.set_limits("gpu", at_once=2, per_second=5)
    await client.queues.set_limits("mail", per_second=0.5)

    assert await client.queues.limits() == {
        "gpu": QueueLimits(at_once=2, per_second=5.0),
        "mail": QueueLimits(per_second=0.5),
    }


async def test_both_limits_are_replaced_and_a_queue_without_any_is_left_out(client: Client) -> None:
    await client.queues.set_limits("gpu", at_once=2, per_second=5)

    await client.queues.set_limits("gpu", per_second=9)
    assert await client.queues.limits() == {"gpu": QueueLimits(per_second=9.0)}
    await client.queues.set_limits("gpu")
    assert await client.queues.limits() == {}


async def test_a_pause_keeps_the_limits_and_new_limits_keep_the_pause(client: Client) -> None:
    await client.queues.set_limits("gpu", at_once=2)

    await client.queues.pause("gpu")
    await client.queues.set_limits("gpu", at_once=3)
    assert await client.queues.limits() == {"gpu": QueueLimits(paused=True, at_once=3)}

    await client.queues.resume("gpu")
    assert await client.queues.limits() == {"gpu": QueueLimits(at_once=3)}


async def test_a_paused_queue_begins_nothing_until_it_is_resumed(client: Client) -> None:
    await client.queues.pause("gpu")
    handle = await client.start(picture)
    while not (activities := await client.activities(handle.instance_id)):
        await asyncio.sleep(0.001)
    assert [each.worker for each in activities] == [None]

    await client.queues.resume("gpu")

    assert await handle.result(timeout=30) == 7
    assert await client.queues.limits() == {}


@pytest.mark.parametrize(
    "limits",
    [{"at_once": 0}, {"at_once": True}, {"at_once": 1.5}, {"per_second": 0}, {"per_second": math.inf}],
    ids=str,
)
async def test_limits_that_cant_be_meant_are_refused(client: Client, limits: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=r"pause\(\) lets nothing begin"):
        await client.queues.set_limits("gpu", **limits)

    assert await client.queues.limits() == {}


async def test_a_name_that_no_queue_can_have_is_refused(client: Client) -> None:
    with pytest.raises(InvalidName):
        await client.queues.pause("")
