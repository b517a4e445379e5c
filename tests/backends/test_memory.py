"""The memory store under the suite of all stores, and what is its own."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from perdure.backends.memory import MemoryBackend, MemoryStore
from perdure.backends.memory.tables import Tables
from perdure.clock import Micros
from perdure.testing.conformance import ConformanceSuite, ManualClock, StoreUnderTest


def count_rows(store: MemoryStore) -> int:
    """All that belongs to instances, indexes included."""

    def count(tables: Tables, now: Micros) -> int:
        rows = list(tables.instances.values())
        parts = (
            len(row.history)
            + sum(len(past.history) + 1 for past in row.past)
            + len(row.pending)
            + len(row.activities)
            + len(row.dropped)
            + len(row.published)
            + len(row.receipts)
            + len(row.blob_ids)
            for row in rows
        )
        indexes = (tables.by_id, tables.children, tables.activities, tables.blobs, tables.deadlines, tables.patience)
        in_lines = sum(len(line) for lines in tables.instance_lines.values() for line in lines.values())
        in_lines += sum(len(line) for lines in tables.activity_lines.values() for line in lines.values())
        return len(rows) + sum(parts) + sum(len(index) for index in indexes) + in_lines

    return store.locked(count)


class TestMemoryStore(ConformanceSuite):
    @pytest.fixture
    async def store(self) -> AsyncIterator[StoreUnderTest]:
        clock = ManualClock()
        backend = MemoryBackend(MemoryStore(clock=clock))

        async def advance(seconds: float) -> None:
            clock.advance(seconds)

        async def rows() -> int:
            return count_rows(backend.store)

        await backend.open()
        yield StoreUnderTest(backend, advance=advance, count_rows=rows)
        await backend.close()
