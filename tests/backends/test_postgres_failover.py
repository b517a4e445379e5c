"""PostgreSQL that can't be written for a while, ends connections, and is stopped: what has its own server here."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import asyncpg
import pytest

from perdure.activities.definition import activity
from perdure.app import App
from perdure.backends.connect import connect
from perdure.errors import StoreReadOnly, StoreUnavailable
from perdure.model.transition import Created
from perdure.orchestrator import Orchestrator
from perdure.testing.conformance import builders
from perdure.workflows.context import Context
from perdure.workflows.definition import workflow
from scripts.servers import Services
from tests.stores import service_url

pytestmark = pytest.mark.server

_END_ALL = (
    "select pg_terminate_backend(pid) from pg_stat_activity where usename = current_user and pid <> pg_backend_pid()"
)


@activity
async def double(number: int) -> int:
    return 2 * number


@workflow
async def doubled(ctx: Context, number: int) -> int:
    for _ in range(5):
        number = await ctx.execute_activity(double, number)
        await ctx.sleep(0.1)
    return number


@pytest.fixture(scope="module")
def server() -> Iterator[Services]:
    service_url("postgresql")  # without one there is none to be had here
    services = Services.in_new_folder()
    services.start("postgresql")
    yield services
    services.stop(["postgresql"])


@pytest.fixture
def url(server: Services) -> str:
    return server.start("postgresql")


@pytest.fixture
async def administer(url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(url, server_settings={"default_transaction_read_only": "off"})
    yield connection
    await connection.execute("alter database perdure reset default_transaction_read_only")
    await connection.close()


async def demote(administer: asyncpg.Connection) -> None:
    """To those who connect from now on, the server is as a replica is."""
    await administer.execute("alter database perdure set default_transaction_read_only = on")
    await administer.execute(_END_ALL)


async def promote(administer: asyncpg.Connection) -> None:
    await administer.execute("alter database perdure set default_transaction_read_only = off")


async def test_work_goes_on_after_a_fail_over(url: str, administer: asyncpg.Connection) -> None:
    async with Orchestrator(url, App(workflows=[doubled], activities=[double])) as perdure:
        handles = [await perdure.start(doubled, number) for number in range(20)]
        await demote(administer)
        await asyncio.sleep(1.0)
        for _ in range(3):
            await administer.execute(_END_ALL)
        await promote(administer)

        assert [await handle.result(timeout=30) for handle in handles] == [32 * number for number in range(20)]


async def test_a_store_that_was_written_before_may_be_again(url: str, administer: asyncpg.Connection) -> None:
    backend = connect(url)
    await backend.open()
    await demote(administer)

    for _ in range(5):
        with pytest.raises(StoreUnavailable) as caught:
            await backend.commit(builders.create("order-1"))
        assert caught.value.is_unwritten
        await asyncio.sleep(0.1)
    await promote(administer)

    async with asyncio.timeout(10):
        while True:
            try:
                outcome = await backend.commit(builders.create("order-1"))
                break
            except StoreUnavailable:
                await asyncio.sleep(0.05)
    assert isinstance(outcome, Created)
    await backend.close()


async def test_one_that_never_could_be_is_refused(url: str, administer: asyncpg.Connection) -> None:
    await demote(administer)
    backend = connect(url)

    with pytest.raises(StoreReadOnly):
        await backend.open()


async def test_work_goes_on_after_the_server_was_stopped_and_killed(server: Services, url: str) -> None:
    async with Orchestrator(url, App(workflows=[doubled], activities=[double])) as perdure:
        handles = [await perdure.start(doubled, number) for number in range(20)]
        await asyncio.to_thread(server.restart, "postgresql")
        await asyncio.sleep(0.2)
        await asyncio.to_thread(server.kill, "postgresql")
        await asyncio.to_thread(server.start, "postgresql")

        assert [await handle.result(timeout=30) for handle in handles] == [32 * number for number in range(20)]
