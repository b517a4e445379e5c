"""The user's own transaction in a PostgreSQL database: locks, isolation, notices, wrong use."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from perdure.backends.postgres import PostgresBackend
from perdure.backends.protocol import Backend
from perdure.client.client import Client
from perdure.clock import random_id
from perdure.errors import InstanceAlreadyExists, StoreSealed, StoreUnavailable, StoreUsageError
from perdure.orchestrator import Orchestrator
from tests.transactions.kinds import Database
from tests.transactions.shop import app, approval, checkout, hello


@pytest.fixture
async def backend(postgres_database: Database) -> AsyncIterator[Backend]:
    backend = postgres_database.backend()
    await backend.open()
    yield backend
    await backend.close()


@pytest.fixture
async def client(backend: Backend) -> AsyncIterator[Client]:
    async with Client(backend, app) as client:
        yield client


@pytest.fixture
async def connection(postgres_database: Database) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(postgres_database.url)
    yield connection
    await connection.close()


@pytest.fixture
async def another(postgres_database: Database) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(postgres_database.url)
    yield connection
    await connection.close()


async def is_waiting_for_a_lock(watcher: asyncpg.Connection, waiting: asyncpg.Connection) -> None:
    """Returns when it is."""
    while not await watcher.fetchval("select cardinality(pg_blocking_pids($1)) > 0", waiting.get_server_pid()):
        await asyncio.sleep(0.01)


# what others can do meanwhile


async def test_a_locked_instance_harms_nobody_else(client: Client, connection: asyncpg.Connection) -> None:
    locked, free = await client.start(checkout, 2), await client.start(checkout, 1)

    async with connection.transaction():
        await client.using(connection).signal(locked.instance_id, approval, "inside")
        waiting = asyncio.create_task(locked.signal(approval, "outside"))
        await free.signal(approval, "ann")
        assert not waiting.done()
    await waiting
    async with Orchestrator(client.backend, app):
        assert await locked.result(timeout=20) == ["inside", "outside"]
        assert await free.result(timeout=20) == ["ann"]


async def test_what_wrote_nothing_locks_nothing(client: Client, connection: asyncpg.Connection) -> None:
    handle = await client.start(checkout.with_options(instance_id="7"), 1)

    async with connection.transaction():
        inside = client.using(connection)
        await inside.start(checkout.with_options(instance_id="7", if_exists="use"), 1)
        with pytest.raises(InstanceAlreadyExists):
            await inside.start(checkout.with_options(instance_id="7"), 1)
        await handle.signal(approval, "outside")  # would wait for ever


async def test_of_two_transactions_that_start_one_id_the_second_waits_and_is_told(
    client: Client, connection: asyncpg.Connection, another: asyncpg.Connection
) -> None:
    taken = hello.with_options(instance_id="7")

    async def second() -> None:
        async with another.transaction():
            with pytest.raises(InstanceAlreadyExists):
                await client.using(another).start(taken, "second")
            await client.using(another).start(hello.with_options(instance_id="8"), "second")

    async with connection.transaction():
        await client.using(connection).start(taken, "first")
        waiting = asyncio.create_task(second())
        await is_waiting_for_a_lock(connection, another)
    await waiting

    assert {instance.instance_id async for instance in client.list()} == {"7", "8"}


async def test_when_the_first_one_rolls_back_the_second_one_has_the_id(
    client: Client, connection: asyncpg.Connection, another: asyncpg.Connection
) -> None:
    taken = hello.with_options(instance_id="7")

    async def second() -> None:
        async with another.transaction():
            await client.using(another).start(taken, "second")

    first = connection.transaction()
    await first.start()
    await client.using(connection).start(taken, "first")
    waiting = asyncio.create_task(second())
    await is_waiting_for_a_lock(connection, another)
    await first.rollback()
    await waiting

    async with Orchestrator(client.backend, app):
        assert await client.result("7", hello, timeout=20) == "hello second"


async def test_a_cancelled_start_lets_go_of_the_connection_and_the_transaction_goes_on(
    client: Client, connection: asyncpg.Connection, another: asyncpg.Connection
) -> None:
    async with connection.transaction():
        await client.using(connection).start(hello.with_options(instance_id="7"), "first")

        async with another.transaction():
            waiting = asyncio.create_task(client.using(another).start(hello.with_options(instance_id="7"), "second"))
            await is_waiting_for_a_lock(connection, another)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            await client.using(another).start(hello.with_options(instance_id="8"), "second")

    assert {instance.instance_id async for instance in client.list()} == {"7", "8"}


# isolation


@pytest.mark.parametrize("isolation", ["repeatable_read", "serializable"])
async def test_an_id_that_was_taken_since_the_snapshot_asks_for_the_transaction_to_be_repeated(
    client: Client, connection: asyncpg.Connection, isolation: str
) -> None:
    taken = hello.with_options(instance_id="7")

    with pytest.raises((StoreUnavailable, asyncpg.SerializationError)):
        async with connection.transaction(isolation=isolation):
            await connection.fetchval("select count(*) from pg_class")
            await client.start(taken, "outside")
            await client.using(connection).start(taken, "inside")

    with pytest.raises(InstanceAlreadyExists):
        async with connection.transaction(isolation=isolation):
            await client.using(connection).start(taken, "inside")


async def test_a_serialization_failure_is_the_drivers_own_and_the_repeated_transaction_succeeds(
    client: Client, connection: asyncpg.Connection
) -> None:
    handle, attempts = await client.start(checkout, 2), 0

    async def signal() -> None:
        nonlocal attempts
        attempts += 1
        async with connection.transaction(isolation="repeatable_read"):
            await connection.fetchval("select count(*) from pg_class")
            if attempts == 1:
                await handle.signal(approval, "outside")
            await client.using(connection).signal(handle.instance_id, approval, "inside")

    with pytest.raises(asyncpg.SerializationError):
        await signal()
    await signal()

    async with Orchestrator(client.backend, app):
        assert await handle.result(timeout=20) == ["outside", "inside"]


async def test_through_sqlalchemy_it_is_sqlalchemys_error(client: Client, postgres_database: Database) -> None:
    handle = await client.start(checkout, 2)
    engine = create_async_engine(postgres_database.alchemy("asyncpg"), isolation_level="REPEATABLE READ")

    async with AsyncSession(engine) as session:
        await session.execute(text("select count(*) from pg_class"))
        await handle.signal(approval, "outside")
        with pytest.raises(DBAPIError, match="could not serialize access"):
            await client.using(session).signal(handle.instance_id, approval, "inside")
    await engine.dispose()


# notices


async def test_workers_are_told_with_the_commit_and_of_nothing_that_was_rolled_back(
    client: Client, connection: asyncpg.Connection, another: asyncpg.Connection, postgres_database: Database
) -> None:
    told: asyncio.Queue[str] = asyncio.Queue()
    await another.add_listener(f"perdure {postgres_database.schema}", lambda *notice: told.put_nowait(notice[-1]))

    rolled_back = connection.transaction()
    await rolled_back.start()
    await client.using(connection).start(hello, "nobody")
    await rolled_back.rollback()
    async with connection.transaction():
        await client.using(connection).start(hello, "world")
        await another.fetchval("select 1")
        assert told.empty()

    await asyncio.wait_for(told.get(), 20)
    assert told.empty()


# a store that is moved


async def test_a_sealed_store_takes_nothing_and_the_transaction_goes_on(
    client: Client, connection: asyncpg.Connection, postgres_database: Database
) -> None:
    await client.backend.seal("sqlite:///elsewhere.db")

    async with connection.transaction():
        with pytest.raises(StoreSealed, match="elsewhere"):
            await client.using(connection).start(hello, "world")
        await connection.execute(f"insert into {postgres_database.orders} values ('7')")


async def test_the_seal_waits_for_open_transactions(client: Client, connection: asyncpg.Connection) -> None:
    async with connection.transaction():
        await client.using(connection).start(hello, "world")
        with pytest.raises(StoreUnavailable, match="open transaction"):
            await client.backend.seal("sqlite:///elsewhere.db")

    await client.backend.seal("sqlite:///elsewhere.db")


@pytest.mark.parametrize("change", ["seal", "limits"])
async def test_a_transaction_whose_snapshot_is_of_before_a_change_of_the_store_is_refused(
    client: Client, connection: asyncpg.Connection, change: str
) -> None:
    with pytest.raises((StoreSealed, asyncpg.SerializationError)):
        async with connection.transaction(isolation="repeatable_read"):
            await connection.fetchval("select count(*) from pg_class")
            await (client.backend.seal("sqlite:///elsewhere.db") if change == "seal" else client.queues.pause("web"))
            await client.using(connection).start(hello, "world")


# wrong use


async def test_without_an_open_transaction_nothing_is_written(
    client: Client, connection: asyncpg.Connection, postgres_database: Database
) -> None:
    by_psycopg = await psycopg.AsyncConnection.connect(postgres_database.url, autocommit=True)
    engine = create_async_engine(postgres_database.alchemy("asyncpg"), isolation_level="AUTOCOMMIT")
    async with AsyncSession(engine) as session:
        for without in (connection, by_psycopg, session):
            with pytest.raises(StoreUsageError, match="begin one first"):
                await client.using(without).start(hello, "world")
    await engine.dispose()
    await by_psycopg.close()

    assert await client.count() == {}


async def test_a_failed_transaction_is_refused(client: Client, connection: asyncpg.Connection) -> None:
    with pytest.raises(StoreUsageError, match="Roll it back"):
        async with connection.transaction():
            with pytest.raises(asyncpg.PostgresError):
                await connection.execute("select 1 / 0")
            await client.using(connection).start(hello, "world")


async def test_a_closed_connection_is_refused(client: Client, postgres_database: Database) -> None:
    by_asyncpg = await asyncpg.connect(postgres_database.url)
    by_psycopg = psycopg.connect(postgres_database.url)
    by_psycopg_async = await psycopg.AsyncConnection.connect(postgres_database.url)
    await by_asyncpg.close()
    by_psycopg.close()
    await by_psycopg_async.close()

    for closed in (by_asyncpg, by_psycopg, by_psycopg_async):
        with pytest.raises(StoreUsageError, match="closed"):
            await client.using(closed).start(hello, "world")


async def test_a_connection_to_another_database_is_refused_and_its_transaction_goes_on(
    client: Client, postgres_database: Database
) -> None:
    elsewhere = await asyncpg.connect(postgres_database.url, database="postgres")
    try:
        async with elsewhere.transaction():
            with pytest.raises(StoreUsageError, match="doesn't lead to this store's tables"):
                await client.using(elsewhere).start(hello, "world")
            assert await elsewhere.fetchval("select 1") == 1
    finally:
        await elsewhere.close()


async def test_another_store_on_the_search_path_is_not_taken_for_this_one(
    postgres_database: Database, connection: asyncpg.Connection
) -> None:
    """A store without a schema of its own is found by the search path, which may be another one on the user's connection."""
    name = f"t{random_id().hex()}"
    await connection.execute(f"create schema {name}")
    backend = PostgresBackend(f"{postgres_database.url}?options=-csearch_path%3D{name}")
    await backend.open()
    try:
        async with Client(backend, app) as client, connection.transaction():
            await connection.execute(f"set local search_path = {postgres_database.schema}")
            with pytest.raises(StoreUsageError, match="doesn't lead to this store's tables"):
                await client.using(connection).start(hello, "world")
            await connection.execute(f"set local search_path = {name}")
            await client.using(connection).start(hello, "world")
    finally:
        await backend.close()
        await connection.execute(f"drop schema {name} cascade")
