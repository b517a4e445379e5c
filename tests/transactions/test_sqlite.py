"""The user's own transaction on a SQLite file."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiosqlite
import pytest
from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from perdure.client.client import Client
from perdure.errors import InstanceAlreadyExists, InstanceNotFound, StoreUsageError
from perdure.orchestrator import Orchestrator
from tests.transactions.kinds import Database
from tests.transactions.shop import app, approval, checkout, hello

Write = Callable[[Client], Awaitable[object]]


async def prune(client: Client) -> None:
    await client.prune()


async def in_a_child(client: Client) -> None:
    await asyncio.gather(client.start(hello, "you"))


WRITES: dict[str, Write] = {
    "start": lambda client: client.start(hello, "you"),
    "run": lambda client: client.run(hello, "you"),
    "signal": lambda client: client.signal("7", approval, "ann"),
    "cancel": lambda client: client.cancel("7"),
    "terminate": lambda client: client.terminate("7"),
    "remove": lambda client: client.remove("7"),
    "prune": prune,
    "limits of a queue": lambda client: client.queues.pause("default"),
    "in a task that is awaited": in_a_child,
}


@pytest.fixture
async def client(sqlite_database: Database) -> AsyncIterator[Client]:
    async with Client(sqlite_database.url, app) as client:
        yield client


@pytest.fixture
async def connection(sqlite_database: Database) -> AsyncIterator[aiosqlite.Connection]:
    async with aiosqlite.connect(sqlite_database.path) as connection:
        yield connection


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
async def test_another_write_inside_is_refused_and_not_a_dead_lock(
    client: Client, connection: aiosqlite.Connection, write: Write
) -> None:
    await client.start(checkout.with_options(instance_id="7"), 1)
    await client.using(connection).start(hello.with_options(instance_id="inside"), "world")

    with pytest.raises(StoreUsageError, match=r"End that transaction first, or write through client.using"):
        await write(client)

    await connection.commit()
    assert (await client.info("inside")).workflow == "hello"


async def test_a_worker_in_the_same_process_makes_it_no_less_of_an_error(
    sqlite_database: Database, connection: aiosqlite.Connection
) -> None:
    async with Orchestrator(sqlite_database.url, app) as perdure:
        handle = await perdure.using(connection).start(hello, "world")
        with pytest.raises(StoreUsageError):
            await perdure.start(hello, "you")
        with pytest.raises(StoreUsageError):
            await perdure.signal("7", approval, "ann")
        await connection.commit()

        assert await handle.result(timeout=20) == "hello world"
        assert await perdure.run(hello, "you") == "hello you"


async def test_a_refused_start_may_have_begun_the_transaction_all_the_same(
    client: Client, connection: aiosqlite.Connection
) -> None:
    await client.start(hello.with_options(instance_id="taken"), "world")
    with pytest.raises(InstanceAlreadyExists):
        await client.using(connection).start(hello.with_options(instance_id="taken"), "you")

    with pytest.raises(StoreUsageError):
        await client.start(hello, "you")
    await connection.rollback()
    await client.start(hello, "you")


@pytest.mark.parametrize("end", ["commit", "rollback", "close"])
async def test_after_the_end_of_the_transaction_this_code_writes_again(
    client: Client, sqlite_database: Database, end: str
) -> None:
    connection = await aiosqlite.connect(sqlite_database.path)
    try:
        await client.using(connection).start(hello, "world")
        await getattr(connection, end)()

        await client.start(hello, "you")
    finally:
        await connection.close()


async def test_reads_inside_show_what_was_there_before(client: Client, connection: aiosqlite.Connection) -> None:
    await client.start(hello.with_options(instance_id="before"), "world")

    await client.using(connection).start(hello.with_options(instance_id="inside"), "world")

    assert (await client.info("before")).workflow == "hello"
    with pytest.raises(InstanceNotFound):
        await client.info("inside")


async def test_writes_of_others_wait_for_the_commit(client: Client, connection: aiosqlite.Connection) -> None:
    may_write = asyncio.Event()

    async def write() -> None:
        await may_write.wait()
        await client.start(hello.with_options(instance_id="other"), "you")

    other = asyncio.create_task(write())
    await client.using(connection).start(hello.with_options(instance_id="inside"), "world")
    may_write.set()
    await asyncio.sleep(0.05)
    assert not other.done()
    await connection.commit()
    await other

    assert {instance.instance_id async for instance in client.list()} == {"inside", "other"}


async def test_a_pooled_connection_in_another_ones_transaction_is_nobodys_who_had_it_before(
    client: Client, sqlite_database: Database
) -> None:
    engine = create_async_engine(f"sqlite+aiosqlite:///{sqlite_database.path}", pool_size=1)
    async with AsyncSession(engine) as first, first.begin():
        await client.using(first).start(hello, "world")

    async with AsyncSession(engine) as second:
        await second.execute(text("insert into orders values ('of somebody else')"))
        writing = asyncio.create_task(client.start(hello, "you"))
        await asyncio.sleep(0.05)
        await second.commit()
    await writing
    await engine.dispose()


async def test_a_session_whose_begin_is_emitted_by_the_user_is_taken_as_it_is(
    client: Client, sqlite_database: Database
) -> None:
    engine = create_async_engine(f"sqlite+aiosqlite:///{sqlite_database.path}")

    @event.listens_for(engine.sync_engine, "connect")
    def _leave_transactions_to_us(connection: Any, _: object) -> None:
        connection.isolation_level = None

    @event.listens_for(engine.sync_engine, "begin")
    def _begin(connection: Any) -> None:
        connection.exec_driver_sql("begin immediate")

    async with AsyncSession(engine) as session:
        await client.using(session).start(hello.with_options(instance_id="1"), "world")
        await session.rollback()
        await client.using(session).start(hello.with_options(instance_id="2"), "world")
        await session.commit()
    await engine.dispose()

    assert [instance.instance_id async for instance in client.list()] == ["2"]


async def test_the_connection_leaves_checkpoints_to_perdure(client: Client, connection: aiosqlite.Connection) -> None:
    await client.using(connection).start(hello, "world")

    assert await (await connection.execute("pragma wal_autocheckpoint")).fetchone() == (0,)


async def test_a_connection_in_autocommit_mode_needs_an_open_transaction(
    client: Client, sqlite_database: Database
) -> None:
    connection = sqlite3.connect(sqlite_database.path, isolation_level=None)
    try:
        with pytest.raises(StoreUsageError, match="begin one first"):
            await client.using(connection).start(hello.with_options(instance_id="7"), "world")
        connection.execute("begin immediate")
        await client.using(connection).start(hello.with_options(instance_id="7"), "world")
        connection.execute("commit")
    finally:
        connection.close()

    assert (await client.info("7")).workflow == "hello"


@pytest.mark.parametrize("target", ["another.db", ":memory:"])
async def test_another_database_is_refused(client: Client, tmp_path: Path, target: str) -> None:
    async with aiosqlite.connect(target if target == ":memory:" else tmp_path / target) as connection:
        with pytest.raises(StoreUsageError, match="takes place in one file"):
            await client.using(connection).start(hello, "world")
        assert not connection.in_transaction


async def test_a_closed_connection_is_refused(client: Client, sqlite_database: Database) -> None:
    blocking, awaited = sqlite3.connect(sqlite_database.path), await aiosqlite.connect(sqlite_database.path)
    blocking.close()
    await awaited.close()

    for connection in (blocking, awaited):
        with pytest.raises(StoreUsageError, match="Pass one that is open"):
            await client.using(connection).start(hello, "world")


@pytest.mark.parametrize("connection", ["orders.db", None, object()])
async def test_what_is_no_connection_is_refused_with_a_list_of_those_that_are(
    client: Client, connection: object
) -> None:
    with pytest.raises(StoreUsageError, match=r"this store takes sqlite3\.Connection, aiosqlite\.Connection"):
        client.using(connection)


@pytest.mark.parametrize("url", ["memory://", "sqlite:///:memory:"])
async def test_stores_in_memory_have_no_transaction_to_share(url: str, connection: aiosqlite.Connection) -> None:
    async with Client(url, app) as client:
        with pytest.raises(StoreUsageError, match="transaction"):
            client.using(connection)
