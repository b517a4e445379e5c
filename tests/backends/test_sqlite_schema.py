"""How the tables come to be, under races and across versions."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from perdure.backends.sql import schema
from perdure.backends.sqlite import SqliteBackend, SqliteOptions
from perdure.backends.sqlite.session import SqliteSession
from perdure.errors import SchemaMismatch
from perdure.model.instance import State
from perdure.model.retention import StoredRetention
from perdure.testing.conformance import builders
from tests.backends.sqlite_helpers import opened, start_program


def _set_version(path: Path, version: int, oldest_code: int) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("insert into perdure_schema values (?, ?, 0)", (version, oldest_code))
    connection.close()


def test_processes_that_open_a_new_file_together_migrate_it_once(tmp_path: Path) -> None:
    """B10, and the trap "migrations of two workers racing"."""
    code = """
async def main():
    sys.stdin.readline()
    async with opened(path) as store:
        await store.create(f"order-{os.getpid()}")
"""
    path = tmp_path / "store.db"
    programs = [start_program(code, path) for _ in range(8)]
    for program in programs:
        assert program.stdin is not None
        program.stdin.write("go\n")
        program.stdin.flush()
    for program in programs:
        _, err = program.communicate(timeout=60)
        assert program.returncode == 0, err
    with sqlite3.connect(path) as connection:
        assert connection.execute("select count(*) from perdure_instances").fetchone() == (8,)
        assert connection.execute("select version from perdure_schema").fetchall() == [
            (each,) for each in range(1, schema.VERSION + 1)
        ]
    connection.close()


async def test_code_that_is_too_old_is_refused_and_told_to_upgrade(tmp_path: Path) -> None:
    """B10"""
    async with opened(tmp_path / "store.db"):
        pass
    _set_version(tmp_path / "store.db", schema.VERSION + 2, schema.VERSION + 1)
    with pytest.raises(SchemaMismatch, match="upgrade perdure"):
        await SqliteBackend(str(tmp_path / "store.db")).open()


async def test_a_newer_schema_that_serves_this_code_is_used(tmp_path: Path) -> None:
    """B10: expand first, contract a release later."""
    async with opened(tmp_path / "store.db"):
        pass
    _set_version(tmp_path / "store.db", schema.VERSION + 1, schema.VERSION)
    async with opened(tmp_path / "store.db") as store:
        await store.create()


async def test_without_migration_a_missing_schema_is_refused(tmp_path: Path) -> None:
    backend = SqliteBackend(str(tmp_path / "store.db"), SqliteOptions(migrate=False))
    with pytest.raises(SchemaMismatch, match=r"no perdure schema yet.*migrate=False"):
        await backend.open()
    async with opened(tmp_path / "store.db"):
        pass
    async with opened(tmp_path / "store.db", migrate=False) as store:
        await store.create()


def test_migrations_run_in_order_each_once() -> None:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    first = (("create table one (a)",), 1)
    second = (("create table two (a)", "alter table one add column b"), 1)
    schema.migrate(SqliteSession(connection), 5, (first,))
    schema.migrate(SqliteSession(connection), 6, (first, second))
    schema.migrate(SqliteSession(connection), 7, (first, second))
    found = connection.execute("select version, oldest_code, migrated_at from perdure_schema").fetchall()
    assert found == [(1, 1, 5), (2, 1, 6)]
    connection.close()


async def test_a_store_of_the_first_version_goes_on(tmp_path: Path) -> None:
    """B10: the columns of retention come to what is there."""
    path = tmp_path / "store.db"
    async with opened(path) as store:
        await store.finished(await store.worker(), "old")
    with sqlite3.connect(path) as connection:
        connection.execute("drop index perdure_instances_remove")
        for column in ("retention", "remove_at"):
            connection.execute(f"alter table perdure_instances drop column {column}")
        connection.execute("delete from perdure_schema where version > 1")
    connection.close()
    async with opened(path) as store:
        assert (await store.backend.read_instance("old")).remove_at is None
        await store.create("new", retention=StoredRetention(completed=0))
        await (await store.worker()).run(closing=builders.completed())
        assert await store.backend.remove_expired() == 1
        assert (await store.backend.read_instance("old")).state is State.COMPLETED


async def test_tables_live_beside_the_users_own(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "app.db") as connection:
        connection.execute("create table instances (mine)")
        connection.execute("insert into instances values (1)")
    connection.close()
    async with opened(tmp_path / "app.db") as store:
        await store.create()
    with sqlite3.connect(tmp_path / "app.db") as connection:
        assert connection.execute("select * from instances").fetchall() == [(1,)]
    connection.close()
