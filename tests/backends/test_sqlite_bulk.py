"""Statements that write many rows: every size, what is filled up, and which indexes they use."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Any

import pytest

from perdure.backends.sql import schema
from perdure.backends.sqlite import bulk
from perdure.backends.sqlite import statements as sql
from perdure.backends.sqlite.bulk import SIZES, Bulk
from perdure.backends.sqlite.session import SqliteSession

BULKS = {name: value for name, value in vars(sql).items() if isinstance(value, Bulk)}


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    schema.migrate(SqliteSession(connection), 0)
    yield connection
    connection.close()


def _events(keys: range) -> list[Any]:
    return [value for key in keys for value in (key, 1, 0, b"events")]


@pytest.mark.parametrize("rows", [1, 2, 5, 16, 17, 255, 256, 257, 513, 1000])
def test_any_number_of_rows_is_written_and_nothing_else(connection: sqlite3.Connection, rows: int) -> None:
    """What fills a statement up is left out."""
    assert sql.INSERT_EVENTS.write(connection, _events(range(1, rows + 1))) == rows
    found = connection.execute("select instance_key from perdure_events order by instance_key").fetchall()
    assert found == [(key,) for key in range(1, rows + 1)]


@pytest.mark.parametrize("rows", [1, 5, 300])
def test_rows_can_be_written_singly(connection: sqlite3.Connection, rows: int) -> None:
    assert sql.INSERT_EVENTS.write_singly(connection, _events(range(1, rows + 1))) == rows
    assert connection.execute("select count(*) from perdure_events").fetchone() == (rows,)


def test_a_batch_takes_one_statement_for_each_256_rows(connection: sqlite3.Connection) -> None:
    statements: list[str] = []
    connection.set_trace_callback(statements.append)
    sql.INSERT_EVENTS.write(connection, _events(range(1, 201)))
    assert len(statements) == 1
    sql.INSERT_EVENTS.write(connection, _events(range(201, 801)))
    assert len(statements) == 4


def test_few_texts_are_made_however_many_rows_come(connection: sqlite3.Connection) -> None:
    statement = bulk.insert("perdure_events", ("instance_key", "execution_number", "position", "events"))
    last = 0
    for rows in range(1, 300):
        statement.write(connection, _events(range(last + 1, last + rows + 1)))
        last += rows
    assert len(statement._texts) <= len(SIZES)


@pytest.mark.parametrize("name", BULKS)
def test_the_largest_statement_is_within_the_limits_of_the_library(name: str, connection: sqlite3.Connection) -> None:
    """32,766 parameters are allowed by default."""
    statement = BULKS[name]
    assert statement.width * SIZES[-1] < 32_766
    connection.execute(f"explain {statement.text(SIZES[-1])}", [0] * (statement.width * SIZES[-1]))


@pytest.mark.parametrize("name", BULKS)
def test_no_statement_looks_at_rows_that_it_does_not_change(name: str, connection: sqlite3.Connection) -> None:
    statement = BULKS[name]
    plan = connection.execute(f"explain query plan {statement.text(3)}", [0] * (statement.width * 3)).fetchall()
    assert not [step for *_, step in plan if "SCAN perdure" in step or "SCAN TABLE perdure" in step]


def test_what_stands_for_nothing_becomes_null(connection: sqlite3.Connection) -> None:
    statement = bulk.insert("t", {"key": "{}", "a": "nullif({}, -1)", "b": "nullif({}, '')"}, {"c": 7})
    connection.execute("create table t (key, a, b, c)")
    statement.write(connection, [1, -1, "", 2, 0, "x"])
    assert connection.execute("select * from t").fetchall() == [(1, None, None, 7), (2, 0, "x", 7)]


def test_an_update_changes_the_rows_that_it_names(connection: sqlite3.Connection) -> None:
    connection.execute("create table t (key integer primary key, a, b)")
    connection.executemany("insert into t values (?, 0, 'kept')", [(key,) for key in range(1, 11)])
    bulk.update("t", ("a",)).write(connection, [3, 33, 7, 77, 8, 88, 9, 99, 10, 1010])
    found = connection.execute("select key, a, b from t where a <> 0 order by key").fetchall()
    assert found == [(3, 33, "kept"), (7, 77, "kept"), (8, 88, "kept"), (9, 99, "kept"), (10, 1010, "kept")]


def test_a_deletion_takes_the_rows_that_it_names(connection: sqlite3.Connection) -> None:
    sql.INSERT_PENDING.write(connection, [value for number in range(10) for value in (5, number, b"event")])
    sql.DELETE_PENDING.write(connection, [5, 1, 5, 2, 6, 3, 5, 4, 5, 5])
    found = connection.execute("select id from perdure_pending order by id").fetchall()
    assert found == [(0,), (3,), (6,), (7,), (8,), (9,)]
