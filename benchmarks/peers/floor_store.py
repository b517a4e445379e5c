"""The floor's store: a thread that writes; what comes while it commits becomes the next commit."""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.peers import measure

LARGEST_COMMIT = 1000

TABLES = """
create table instances (
    id integer primary key, text_id text not null unique, name text not null, input blob not null, result blob,
    created_at int, updated_at int);
create table events (instance int, seq int, events blob, primary key (instance, seq)) without rowid;
create table tasks (id integer primary key, instance int, lease_ends_at int, payload blob);
"""
STATEMENTS = (
    "insert into instances (id, text_id, name, input, created_at, updated_at) values (?, ?, ?, ?, ?, ?)",
    "insert into events values (?, ?, ?)",
    "insert into tasks values (?, ?, ?, ?)",
    "delete from tasks where id = ?",
    "update instances set result = ?, updated_at = ? where id = ?",
)
INSERT_INSTANCE, INSERT_EVENTS, INSERT_TASK, DELETE_TASK, COMPLETE_INSTANCE = range(5)


class Step:
    """What goes into one commit, and what is called after it."""

    def __init__(self) -> None:
        self.rows: list[tuple[int, tuple[Any, ...]]] = []
        self.afterwards: list[Callable[[], None]] = []


def rows_of(batch: Sequence[Step]) -> list[list[tuple[Any, ...]]]:
    """All rows of a batch, by the number of their statement."""
    rows: list[list[tuple[Any, ...]]] = [[] for _ in STATEMENTS]
    for step in batch:
        for statement, row in step.rows:
            rows[statement].append(row)
    return rows


class Store:
    """One writer thread, one connection, group commit."""

    def __init__(self, path: str) -> None:
        self._loop = asyncio.get_running_loop()
        self._pending: list[Step] = []
        self._is_busy = False
        self._batches: queue.SimpleQueue[list[Step] | None] = queue.SimpleQueue()
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        for pragma in ("journal_mode = wal", "synchronous = full", "wal_autocheckpoint = 4000"):
            self._connection.execute(f"pragma {pragma}")
        self._connection.executescript(TABLES)
        self.settings = {"sqlite": sqlite3.sqlite_version}
        self.settings |= {name: self._connection.execute(f"pragma {name}").fetchone()[0] for name in measure.PRAGMAS}
        self._thread = threading.Thread(target=self._write)
        self._thread.start()

    def submit(self, step: Step) -> None:
        self._pending.append(step)
        if not self._is_busy:
            self._is_busy = True
            self._loop.call_soon(self._hand_over)  # whoever else is ready comes along

    def close(self) -> None:
        self._batches.put(None)
        self._thread.join()
        self._connection.close()

    def _hand_over(self) -> None:
        self._batches.put(self._pending[:LARGEST_COMMIT])
        del self._pending[:LARGEST_COMMIT]

    def _write(self) -> None:
        while (batch := self._batches.get()) is not None:
            self._connection.execute("begin immediate")
            for sql, each in zip(STATEMENTS, rows_of(batch), strict=True):
                if each:
                    self._connection.executemany(sql, each)
            self._connection.execute("commit")
            self._loop.call_soon_threadsafe(self._committed, batch)

    def _committed(self, batch: list[Step]) -> None:
        if self._pending:  # the disk first, then those who wait
            self._hand_over()
        else:
            self._is_busy = False
        for step in batch:
            for call in step.afterwards:
                call()
