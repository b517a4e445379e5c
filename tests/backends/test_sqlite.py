"""The conformance suite on SQLite: in a file, and in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from perdure.backends.sqlite import SqliteBackend
from perdure.backends.sqlite.tables import connection_of
from perdure.backends.unit.unit import Unit
from perdure.testing.conformance import ConformanceSuite, ManualClock, StoreUnderTest

_OF_INSTANCES = ("instances", "executions", "events", "pending", "activities", "receipts", "published", "blobs")


async def _open(path: str) -> StoreUnderTest:
    clock = ManualClock()
    backend = SqliteBackend(path, clock=clock)
    await backend.open()

    async def advance(seconds: float) -> None:
        clock.advance(seconds)
        await asyncio.sleep(0)

    async def count_rows() -> int:
        def count(unit: Unit) -> int:
            return sum(
                connection_of(unit).execute(f"select count(*) from perdure_{table}").fetchone()[0]
                for table in _OF_INSTANCES
            )

        return await backend._write(count, when_sealed=True)

    return StoreUnderTest(backend, advance=advance, count_rows=count_rows)


class TestSqliteFile(ConformanceSuite):
    @pytest.fixture
    async def store(self, tmp_path: Path) -> AsyncIterator[StoreUnderTest]:
        store = await _open(str(tmp_path / "store.db"))
        yield store
        await store.backend.close()


class TestSqliteInMemory(ConformanceSuite):
    @pytest.fixture
    async def store(self) -> AsyncIterator[StoreUnderTest]:
        store = await _open(":memory:")
        yield store
        await store.backend.close()
