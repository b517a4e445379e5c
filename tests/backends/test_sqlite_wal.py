"""The write-ahead log: kept short by us, and reported if somebody keeps it long."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from perdure.backends.sqlite.wal import Wal
from perdure.model.inspection import InstanceFilter
from perdure.testing.conformance import builders
from tests.backends.sqlite_helpers import opened


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(tmp_path / "store.db", isolation_level=None, timeout=0)
    connection.execute("pragma journal_mode = wal")
    connection.execute("pragma wal_autocheckpoint = 0")
    connection.execute("create table things (text)")
    yield connection
    connection.close()


def _write(connection: sqlite3.Connection, wal: Wal, rows: int) -> None:
    connection.execute("begin immediate")
    connection.executemany("insert into things values (?)", [("x" * 3000,)] * rows)
    connection.execute("commit")
    if wal.committed(rows):
        wal.checkpoint()


def test_the_log_is_written_over_again_and_stays_short(connection: sqlite3.Connection, tmp_path: Path) -> None:
    wal = Wal(connection, tmp_path / "store.db-wal", every_pages=100)
    for _ in range(200):
        _write(connection, wal, 20)
    assert (tmp_path / "store.db-wal").stat().st_size < 1_500_000
    assert (tmp_path / "store.db").stat().st_size > 10_000_000


def test_a_reader_that_keeps_the_log_long_is_reported_once_and_the_log_shrinks_after_it(
    connection: sqlite3.Connection, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """B11"""
    wal = Wal(connection, tmp_path / "store.db-wal", every_pages=100, largest_bytes=1_000_000)
    reader = sqlite3.connect(tmp_path / "store.db", isolation_level=None)
    reader.execute("begin")
    reader.execute("select count(*) from things").fetchone()
    with caplog.at_level(logging.WARNING, "perdure.store"):
        for _ in range(100):
            _write(connection, wal, 20)
    assert (tmp_path / "store.db-wal").stat().st_size > 5_000_000
    (record,) = caplog.records
    assert "read transaction open" in record.getMessage()
    reader.execute("commit")
    reader.close()
    for _ in range(20):
        _write(connection, wal, 20)
    assert (tmp_path / "store.db-wal").stat().st_size < 1_500_000


async def test_a_busy_store_keeps_its_log_short(tmp_path: Path) -> None:
    async with opened(tmp_path / "store.db", synchronous="normal") as store:
        await store.create()
        large = builders.signal(payload=b"x" * 100_000)
        for _ in range(60):
            await asyncio.gather(
                *(store.backend.commit(builders.append_signal("order-1", event=large)) for _ in range(50))
            )
            await store.backend.read_instance("order-1")
        assert (tmp_path / "store.db").stat().st_size > 200_000_000
        assert (tmp_path / "store.db-wal").stat().st_size < 80_000_000


async def test_the_log_hears_of_what_was_removed(tmp_path: Path) -> None:
    """Or a process that does nothing else would never bring it back."""
    async with opened(tmp_path / "store.db") as store:
        worker = await store.worker()
        for number in range(20):
            await store.finished(worker, f"order-{number}")
        wal = store.backend._opened.writer._wal  # type: ignore[attr-defined]
        before = wal._rows
        await store.backend.prune(InstanceFilter())
        await store.backend.prune(InstanceFilter())  # the batch before it is over then
        assert wal._rows - before >= 20 * 2  # the instance and its history
