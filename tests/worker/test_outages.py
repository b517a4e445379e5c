"""The server of the store goes away for a while: workers and clients come through, and say so in few words."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator

import pytest

from perdure.activities.definition import activity
from perdure.app import App
from perdure.backends.protocol import Backend
from perdure.client.client import Client
from perdure.model.inspection import WorkerStatus
from perdure.model.instance import State
from perdure.worker.worker import Worker
from perdure.workflows.context import Context
from perdure.workflows.definition import workflow
from tests.worker.cut_off import Cable, cut_off
from tests.worker.support import until, until_async

INSTANCES = 100
MOST_LINES = 20
"""Of each outage: a part of the worker says that it fails, and that it works again."""


class Till:
    """Activities that last until they are let go, and are counted."""

    def __init__(self) -> None:
        self.begun: Counter[int] = Counter()
        self.open = asyncio.Event()

    @activity
    async def pay(self, number: int) -> int:
        self.begun[number] += 1
        await self.open.wait()
        return number

    @activity
    async def book(self, number: int) -> int:
        return 2 * number


@workflow
async def sale(ctx: Context, number: int) -> int:
    await ctx.sleep(0.01)
    paid = await ctx.execute_activity(Till.pay, number)
    return await ctx.execute_activity(Till.book, paid)


@pytest.fixture
def cable() -> Cable:
    return Cable()


@pytest.fixture
def away(store: Backend, cable: Cable) -> Backend:
    return cut_off(store, cable)


@pytest.fixture
async def till() -> AsyncIterator[Till]:
    till = Till()
    yield till
    till.open.set()


def app_of(till: Till) -> App:
    return App(workflows=[sale], activities=[till])


async def sales_under_way(client: Client, till: Till) -> list[asyncio.Task[int]]:
    """All at the till, each with somebody who waits for its end."""
    handles = [await client.start(sale, number) for number in range(INSTANCES)]
    await until(lambda: len(till.begun) == INSTANCES)
    return [asyncio.create_task(handle.result()) for handle in handles]


async def live_workers(client: Client) -> list[WorkerStatus]:
    return [each for each in await client.backend.list_workers() if each.is_alive]


def loud(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [each.message for each in caplog.records if each.levelno >= logging.WARNING]


@pytest.mark.parametrize("seconds", [0.0, pytest.param(10.0, marks=pytest.mark.soak)])
async def test_an_outage_shorter_than_the_lease_costs_no_attempt_and_few_words(
    away: Backend, cable: Cable, till: Till, caplog: pytest.LogCaptureFixture, seconds: float
) -> None:
    async with Client(away) as client, Worker(away, app_of(till), lease=60):
        waiting = await sales_under_way(client, till)

        cable.cut()
        till.open.set()
        await until(lambda: cable.refused > 3 * INSTANCES)
        await asyncio.sleep(seconds)
        refused = cable.refused
        cable.mend()

        assert await asyncio.gather(*waiting) == [2 * number for number in range(INSTANCES)]
        assert await client.count() == {State.COMPLETED: INSTANCES}
    assert set(till.begun.values()) == {1}
    assert refused < 20 * 3 * INSTANCES  # each of those who wait asks every now and then
    assert 0 < len(loud(caplog)) <= MOST_LINES, loud(caplog)
    assert not [each for each in caplog.records if each.exc_info]


@pytest.mark.parametrize("seconds", [0.0, pytest.param(10.0, marks=pytest.mark.soak)])
async def test_an_outage_longer_than_the_lease_begins_what_ran_again(
    away: Backend, cable: Cable, till: Till, caplog: pytest.LogCaptureFixture, seconds: float
) -> None:
    async with Client(away) as client, Worker(away, app_of(till), lease=1):
        waiting = await sales_under_way(client, till)

        cable.cut()
        await until(lambda: "the worker drops its work and starts again" in " ".join(loud(caplog)))
        await asyncio.sleep(seconds)
        cable.mend()
        await until(lambda: min(till.begun.values()) >= 2, seconds=20)  # a busy machine may take a lease more
        till.open.set()

        assert await asyncio.gather(*waiting) == [2 * number for number in range(INSTANCES)]
        assert await client.count() == {State.COMPLETED: INSTANCES}
    assert len(loud(caplog)) <= MOST_LINES, loud(caplog)
    assert not [each for each in caplog.records if each.exc_info]


async def test_after_an_outage_one_life_of_the_worker_is_left(away: Backend, cable: Cable, till: Till) -> None:
    async with Client(away) as client, Worker(away, app_of(till), lease=60):
        waiting = await sales_under_way(client, till)
        (before,) = await live_workers(client)

        cable.cut()
        till.open.set()
        await until(lambda: cable.refused > 3 * INSTANCES)
        cable.mend()
        await asyncio.gather(*waiting)

        async def is_alone() -> bool:
            alive = await live_workers(client)
            return len(alive) == 1 and alive[0].started_at > before.started_at

        await until_async(is_alone)


async def test_many_short_outages_are_survived(away: Backend, cable: Cable, till: Till) -> None:
    till.open.set()
    async with Client(away) as client, Worker(away, app_of(till), lease=60):
        handles = [await client.start(sale, number) for number in range(INSTANCES)]
        for _ in range(10):
            cable.cut()
            await asyncio.sleep(0.02)
            cable.mend()
            await asyncio.sleep(0.05)

        assert await asyncio.gather(*(handle.result() for handle in handles)) == [2 * n for n in range(INSTANCES)]
