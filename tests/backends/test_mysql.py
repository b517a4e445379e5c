"""The conformance suite on MySQL and on MariaDB."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from perdure.backends.mysql import MysqlBackend, MysqlOptions
from perdure.testing.conformance import ConformanceSuite, ManualClock, StoreUnderTest
from tests.backends.mysql_helpers import SERVERS, fetch, server
from tests.places import place
from tests.stores import service_url

_OF_INSTANCES = ("instances", "executions", "events", "pending", "activities", "receipts", "published", "blobs")


@pytest.fixture(params=SERVERS)
def prefixed(request: pytest.FixtureRequest) -> Iterator[tuple[str, str]]:
    """A URL and a prefix."""
    url = service_url(request.param)
    with place(url) as prefix:
        yield url, prefix


class TestMysql(ConformanceSuite):
    @pytest.fixture
    async def store(self, prefixed: tuple[str, str]) -> AsyncIterator[StoreUnderTest]:
        url, prefix = prefixed
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
