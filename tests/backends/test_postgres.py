"""The conformance suite on PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from perdure.backends.postgres import PostgresBackend, PostgresOptions
from perdure.testing.conformance import ConformanceSuite, ManualClock, StoreUnderTest
from tests.stores import service_url

_OF_INSTANCES = ("instances", "executions", "events", "pending", "activities", "receipts", "published", "blobs")


@pytest.mark.server
class TestPostgres(ConformanceSuite):
    @pytest.fixture
    async def store(self, postgresql_schema: str) -> AsyncIterator[StoreUnderTest]:
        url, schema, clock = service_url("postgresql"), postgresql_schema, ManualClock()
        backend = PostgresBackend(url, PostgresOptions(schema=schema), clock=clock)
        await backend.open()

        async def advance(seconds: float) -> None:
            clock.advance(seconds)
            await asyncio.sleep(0)

        async def count_rows() -> int:
            connection = await asyncpg.connect(url)
            try:
                counts = [
                    await connection.fetchval(f'select count(*) from "{schema}".perdure_{t}') for t in _OF_INSTANCES
                ]
                return sum(counts)
            finally:
                await connection.close()

        yield StoreUnderTest(backend, advance=advance, count_rows=count_rows)
        await backend.close()
