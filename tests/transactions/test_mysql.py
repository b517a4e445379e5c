"""The user's own transaction in MySQL and MariaDB: locks, isolation, wrong use."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncmy
import pytest

from perdure.client.client import Client
from perdure.errors import InstanceAlreadyExists, StoreSealed, StoreUnavailable, StoreUsageError
from perdure.orchestrator import Orchestrator
from tests.backends.mysql_helpers import SERVERS, address_of
from tests.transactions.conftest import database_of
from tests.transactions.kinds import Database
from tests.transactions.shop import app, approval, checkout, hello


@pytest.fixture(params=SERVERS)
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    async with database_of(request.param, tmp_path) as database:
        yield database


@pytest.fixture
async def client(database: Database) -> AsyncIterator[Client]:
    backend = database.backend()
    await backend.open()
    async with Client(backend, app) as client:
        yield client
    await backend.close()


@asynccontextmanager
async def transaction(database: Database, *, snapshot: bool = False) -> AsyncIterator[Any]:
    """At the server's default isolation, REPEATABLE READ; committed at the end, rolled back by an exception."""
    connection: Any = await asyncmy.connect(**address_of(database.url))
    try:
        await connection.begin()
        if snapshot:
            await connection.cursor().execute(f"select count(*) from {database.orders}")
        yield connection
        await connection.commit()
    finally:
        await connection.ensure_closed()


async def test_an_id_that_was_taken_since_the_snapshot_asks_for_the_transaction_to_be_repeated(
    client: Client, database: Database
) -> None:
    taken = hello.with_options(instance_id="7")

    with pytest.raises(StoreUnavailable, match="repeat it as a whole") as caught:
        async with transaction(database, snapshot=True) as connection:
            await client.start(taken, "outside")
            await client.using(connection).start(taken, "inside")
    assert caught.value.is_unwritten

    with pytest.raises(InstanceAlreadyExists):
        async with transaction(database) as connection:
            await client.using(connection).start(taken, "inside")


async def test_an_instance_that_has_changed_since_the_snapshot_asks_for_it_too(
    client: Client, database: Database
) -> None:
    handle = await client.start(checkout, 2)

    async def signal(*, first: bool) -> None:
        async with transaction(database, snapshot=True) as connection:
            if first:
                await handle.signal(approval, "outside")
            await client.using(connection).signal(handle.instance_id, approval, "inside")

    with pytest.raises((StoreUnavailable, asyncmy.errors.OperationalError)):
        await signal(first=True)
    await signal(first=False)

    async with Orchestrator(client.backend, app):
        assert await handle.result(timeout=20) == ["outside", "inside"]


async def test_of_two_transactions_that_start_one_id_the_second_waits_and_is_told(
    client: Client, database: Database
) -> None:
    taken = hello.with_options(instance_id="7")

    async def second() -> None:
        async with transaction(database) as another:
            with pytest.raises(InstanceAlreadyExists):
                await client.using(another).start(taken, "second")
            await client.using(another).start(hello.with_options(instance_id="8"), "second")

    async with transaction(database) as connection:
        await client.using(connection).start(taken, "first")
        waiting = asyncio.create_task(second())
        await asyncio.sleep(0.1)
        assert not waiting.done()
    try:
        await waiting
    except StoreUnavailable:  # its snapshot was of before the first one's commit
        await second()

    assert {instance.instance_id async for instance in client.list()} == {"7", "8"}


async def test_starts_and_signals_of_others_go_on_beside_it(client: Client, database: Database) -> None:
    free = await client.start(checkout, 1)
    locked = await client.start(checkout, 2)

    async with transaction(database, snapshot=True) as connection:
        inside = client.using(connection)
        await inside.start(hello.with_options(instance_id="5"), "inside")
        await inside.signal(locked.instance_id, approval, "inside", idempotency_key="key")
        for number in (3, 4, 6, 7):
            await client.start(hello.with_options(instance_id=str(number)), "outside")
        await client.start(hello, "outside")
        await free.signal(approval, "ann", idempotency_key="key")
        await client.queues.pause("web")

    await locked.signal(approval, "outside")
    async with Orchestrator(client.backend, app):
        assert await locked.result(timeout=20) == ["inside", "outside"]


async def test_a_cancelled_start_lets_go_of_the_connection(client: Client, database: Database) -> None:
    taken = hello.with_options(instance_id="7")

    async with transaction(database) as connection:
        await client.using(connection).start(taken, "first")
        another: Any = await asyncmy.connect(**address_of(database.url))
        await another.begin()
        waiting = asyncio.create_task(client.using(another).start(taken, "second"))
        await asyncio.sleep(0.1)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await another.ensure_closed()

    assert [instance.instance_id async for instance in client.list()] == ["7"]


async def test_a_connection_without_a_transaction_or_to_elsewhere_is_refused(
    client: Client, database: Database
) -> None:
    connection: Any = await asyncmy.connect(**address_of(database.url), autocommit=True)
    try:
        with pytest.raises(StoreUsageError, match="begin one first"):
            await client.using(connection).start(hello, "world")
        await connection.select_db("information_schema")
        await connection.begin()
        with pytest.raises(StoreUsageError, match="doesn't lead to this store's tables"):
            await client.using(connection).start(hello, "world")
    finally:
        await connection.ensure_closed()
    with pytest.raises(StoreUsageError, match="closed"):
        await client.using(connection).start(hello, "world")

    assert await client.count() == {}


async def test_a_sealed_store_takes_nothing_whatever_the_snapshot_shows(client: Client, database: Database) -> None:
    async with transaction(database, snapshot=True) as connection:
        await client.backend.seal("sqlite:///elsewhere.db")
        with pytest.raises(StoreSealed, match="elsewhere"):
            await client.using(connection).start(hello, "world")


async def test_the_seal_waits_for_open_transactions(client: Client, database: Database) -> None:
    async with transaction(database) as connection:
        await client.using(connection).start(hello, "world")
        with pytest.raises(StoreUnavailable, match="open transaction"):
            await client.backend.seal("sqlite:///elsewhere.db")

    await client.backend.seal("sqlite:///elsewhere.db")
    assert len([each async for each in client.list()]) == 1
