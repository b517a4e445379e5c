"""The command line on a store that is a server's."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import asyncpg
import pytest

from perdure.backends.sql import schema
from perdure.clock import random_id
from tests.cli.conftest import Call
from tests.stores import service_url


@pytest.fixture
def store() -> Iterator[str]:
    """Its URL; nothing of it is there yet."""
    server, schema = service_url("postgresql"), f"t{random_id().hex()}"
    yield f"{server}?schema={schema}"

    async def drop() -> None:
        connection = await asyncpg.connect(server)
        await connection.execute(f'drop schema if exists "{schema}" cascade')
        await connection.close()

    asyncio.run(drop())


def test_looking_at_a_store_that_is_not_there_does_not_make_it(call: Call, store: str) -> None:
    for _ in range(2):
        result = call("list", store=store)
        assert result.exit_code == 1
        assert "has no perdure schema yet" in result.output
        assert ":perdure@" not in result.output


def test_a_store_that_was_migrated_can_be_looked_at(call: Call, store: str) -> None:
    migrated = call("migrate", store=store)
    assert migrated.exit_code == 0, migrated.output
    assert ":perdure@" not in migrated.output
    assert call("list", "--json", store=store).output.strip() == "[]"


def test_the_sql_of_a_schema_is_printed_without_connecting(call: Call) -> None:
    result = call("migrate", "--sql", store="postgresql://nowhere.invalid/db?schema=app")
    assert result.exit_code == 0, result.output
    assert result.output.startswith('begin;\ncreate schema if not exists "app";\n')
    assert 'create table "app".perdure_instances' in result.output
    assert result.output.endswith("commit;\n")


def test_nothing_is_left_to_do_from_the_newest_version_on(call: Call) -> None:
    result = call("migrate", "--sql", "--from-version", str(schema.VERSION), store="postgresql://nowhere.invalid/db")
    assert result.output == "begin;\ncommit;\n"


def test_the_sql_for_a_file_makes_a_store_that_can_be_looked_at(call: Call, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'made.db'}"
    with closing(sqlite3.connect(tmp_path / "made.db")) as database:
        database.executescript(call("migrate", "--sql", store=url).output)
    assert call("list", "--json", store=url).output.strip() == "[]"


def test_an_unknown_option_of_a_store_is_a_wrong_command_line(call: Call) -> None:
    result = call("list", store="postgresql://me:hunter-zwei@host/db?shema=app")
    assert result.exit_code == 2
    assert "no option shema; there are schema, migrate" in result.output
    assert "hunter" not in result.output
