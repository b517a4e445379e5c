"""The conformance suite on MySQL and on MariaDB. Tables are made once, and emptied before each test: making them takes long."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from perdure.backends.mysql import MysqlBackend, MysqlOptions
from perdure.testing.conformance import ConformanceSuite, ManualClock, StoreUnderTest
from tests.backends.mysql_helpers import SERVERS, drop_tables, fetch, new_prefix, server, tables
from tests.stores import service_url

_OF_INSTANCES = ("instances", "executions", "events", "pending", "activities", "receipts", "published", "blobs")
_KEPT = ("schema", "store")


@pytest.fixture(params=SERVERS, scope="module")
def place(request: pytest.FixtureRequest) -> Iterator[tuple[str, str]]:
    """A URL and a prefix."""
    url, prefix = service_url(request.param), new_prefix()
    yield url, prefix
    asyncio.run(_drop(url, prefix))


async def _drop(url: str, prefix: str) -> None:
    async with server(url) as cursor:
        await drop_tables(cursor, prefix)


class TestMysql(ConformanceSuite):
    @pytest.fixture
    async def store(self, place: tuple[str, str]) -> AsyncIterator[StoreUnderTest]:
        url, prefix = place
        async with server(url) as cursor:
            for name in await tables(cursor, prefix):
                if name.removeprefix(prefix) not in _KEPT:
                    await cursor.execute(f"delete from {name}")
        clock = ManualClock()
        backend = MysqlBackend(url, MysqlOptions(prefix=prefix), clock=clock)
        await backend.open()

        async def advance(seconds: float) -> None:
            clock.advance(seconds)
            await asyncio.sleep(0)

        async def count_rows() -> int:
            async with server(url) as cursor:
                counts = [await fetch(cursor, f"select count(*) from {prefix}{name}") for name in _OF_INSTANCES]
                return sum(count for ((count,),) in counts)

        yield StoreUnderTest(backend, advance=advance, count_rows=count_rows)
        await backend.close()
