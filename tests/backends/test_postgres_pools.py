"""A pool of the user's is used, given back as it was, and not closed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from perdure import App, Context, Orchestrator, connect, workflow
from perdure.backends.protocol import Backend
from perdure.clock import random_id
from perdure.errors import ConfigurationError, StoreUnavailable, StoreUsageError
from perdure.testing.conformance import ConformanceSuite, ManualClock, StoreUnderTest, builders
from tests.backends.test_postgres import _OF_INSTANCES
from tests.stores import service_url


@workflow
async def hello(ctx: Context) -> str:
    return "hello"


APP = App(workflows=[hello])
_SETTINGS = ("jit", "plan_cache_mode", "lock_timeout", "default_transaction_isolation")


@pytest.fixture
async def pool() -> AsyncIterator[asyncpg.Pool]:
    async with asyncpg.create_pool(service_url("postgresql"), min_size=0, max_size=6) as pool:
        yield pool


@pytest.fixture
async def store(pool: asyncpg.Pool, postgresql_schema: str) -> AsyncIterator[Backend]:
    """Opened."""
    backend = connect("postgresql://", pool=pool, schema=postgresql_schema)
    await backend.open()
    yield backend
    await backend.close()


def _in_use(pool: asyncpg.Pool) -> int:
    return int(pool.get_size() - pool.get_idle_size())


async def _until_all_are_back(pool: asyncpg.Pool) -> None:
    while _in_use(pool):  # the listener ends a moment later
        await asyncio.sleep(0.02)


async def test_workflows_run_on_four_of_its_connections(pool: asyncpg.Pool, store: Backend) -> None:
    async with Orchestrator(store, APP) as perdure:
        assert await asyncio.gather(*(perdure.run(hello) for _ in range(20))) == ["hello"] * 20
        assert _in_use(pool) <= 4


async def test_they_come_back_as_they_were_and_the_pool_stays_open(pool: asyncpg.Pool) -> None:
    schema = f"t{random_id().hex()}"
    before = await _settings(pool)
    backend = connect("postgresql://", pool=pool, schema=schema)
    await backend.open()
    assert await backend.count_instances() == {}
    await backend.close()
    await _until_all_are_back(pool)
    assert await _settings(pool) == before
    await pool.execute(f'drop schema "{schema}" cascade')


async def test_settings_come_back_that_the_pool_itself_would_not_reset() -> None:
    async def init(connection: asyncpg.Connection) -> None:
        await connection.execute("set lock_timeout = '7s'")

    async def reset(connection: asyncpg.Connection) -> None:
        """Nothing."""

    url, schema = service_url("postgresql"), f"t{random_id().hex()}"
    async with asyncpg.create_pool(url, min_size=0, max_size=4, init=init, reset=reset) as pool:
        backend = connect("postgresql://", pool=pool, schema=schema)
        await backend.open()
        assert await backend.count_instances() == {}
        await backend.close()
        await _until_all_are_back(pool)
        assert pool.get_size() >= 2
        found = {(await _settings(pool))["lock_timeout"] for _ in range(4)}
        await pool.execute(f'drop schema "{schema}" cascade')
    assert found == {"7s"}


async def _settings(pool: asyncpg.Pool) -> dict[str, Any]:
    async with pool.acquire() as connection:
        return {name: await connection.fetchval("select current_setting($1)", name) for name in _SETTINGS}


async def test_twins_and_other_handles_on_the_pool_share_its_connections(pool: asyncpg.Pool, store: Backend) -> None:
    twin = store.twin()
    await twin.open()
    assert await twin.count_instances() == {}
    await asyncio.to_thread(asyncio.run, _count(store.twin()))
    assert _in_use(pool) <= 4
    await twin.close()


async def _count(backend: Backend) -> None:
    """On another event loop than the pool's."""
    await backend.open()
    assert await backend.count_instances() == {}
    await backend.close()


async def test_a_connection_that_dies_is_replaced(pool: asyncpg.Pool, store: Backend) -> None:
    await store.commit(builders.create())
    session = store._hub.writer._link.session  # type: ignore[attr-defined]
    died = session.connection.get_server_pid()
    await pool.execute("select pg_terminate_backend($1)", died)
    await _until_it_answers(store)
    assert session.connection.get_server_pid() != died
    assert _in_use(pool) <= 4


async def _until_it_answers(store: Backend) -> None:
    while True:
        try:
            await store.housekeep()
        except StoreUnavailable:
            await asyncio.sleep(0.02)
        else:
            return


async def test_a_pool_that_is_terminated_ends_the_store(pool: asyncpg.Pool, store: Backend) -> None:
    pool.terminate()
    problem: Exception | None = None
    while not isinstance(problem, StoreUsageError):
        with pytest.raises((StoreUnavailable, StoreUsageError)) as caught:
            await store.commit(builders.create())
        problem = caught.value
    assert "The pool that was given is closed" in str(problem)


async def test_a_pool_whose_connections_are_all_in_use_says_how_many_are_needed() -> None:
    async with asyncpg.create_pool(service_url("postgresql"), min_size=0, max_size=4) as pool:
        taken = [await pool.acquire() for _ in range(4)]
        backend = connect("postgresql://", pool=pool, timeout_seconds=0.2)
        try:
            said = "none of the pool's 4 connections became free: perdure keeps 4"
            with pytest.raises(StoreUnavailable, match=said) as caught:
                await backend.open()
            assert caught.value.is_unwritten
        finally:
            for connection in taken:
                await pool.release(connection)


@pytest.mark.parametrize(("options", "needed"), [({}, 4), ({"notices": False}, 2), ({"pgbouncer": True}, 2)])
async def test_a_pool_that_is_too_small_is_refused(options: dict[str, Any], needed: int) -> None:
    pool = asyncpg.create_pool(service_url("postgresql"), min_size=0, max_size=needed - 1)
    with pytest.raises(ConfigurationError, match=f"at most {needed - 1} connections, and perdure keeps {needed}"):
        connect("postgresql://", pool=pool, **options)


async def test_a_pool_that_nobody_opened_is_refused() -> None:
    backend = connect("postgresql://", pool=asyncpg.create_pool(service_url("postgresql")))
    with pytest.raises(StoreUsageError, match="pool is not initialized"):
        await backend.open()


async def test_what_is_no_pool_is_refused() -> None:
    connection = await asyncpg.connect(service_url("postgresql"))
    with pytest.raises(ConfigurationError, match=r"takes an asyncpg\.Pool.*not asyncpg\.connection\.Connection"):
        connect("postgresql://", pool=connection)
    await connection.close()


async def test_a_pool_goes_with_no_other_place(pool: asyncpg.Pool) -> None:
    for url, options in (("postgresql://host/db", {}), ("postgresql://", {"password": "hunter-zwei"})):
        with pytest.raises(ConfigurationError, match="a pool knows where to connect to") as caught:
            connect(url, pool=pool, **options)
        assert "hunter" not in str(caught.value)


async def test_the_url_is_that_of_the_database_whichever_way_the_pool_was_told(pool: asyncpg.Pool) -> None:
    url = service_url("postgresql")
    assert connect("postgresql://", pool=pool, schema="app").url == connect(url, schema="app").url
    told = asyncpg.create_pool(host="h", port=1, user="me", password="hunter-zwei", database="db")
    assert connect("postgresql://", pool=told).url == "postgresql://h:1/db"


class TestPostgresPool(ConformanceSuite):
    """The same as with connections of its own."""

    @pytest.fixture
    async def store(self, pool: asyncpg.Pool, postgresql_schema: str) -> AsyncIterator[StoreUnderTest]:
        schema, clock = postgresql_schema, ManualClock()
        backend: Any = connect("postgresql://", pool=pool, schema=schema)
        backend._clock = backend._given_clock = clock
        await backend.open()

        async def advance(seconds: float) -> None:
            clock.advance(seconds)
            await asyncio.sleep(0)

        async def count_rows() -> int:
            counts = [await pool.fetchval(f'select count(*) from "{schema}".perdure_{t}') for t in _OF_INSTANCES]
            return sum(counts)

        yield StoreUnderTest(backend, advance=advance, count_rows=count_rows)
        await backend.close()
