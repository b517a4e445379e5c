"""Rows that belong to no instance, in whatever tables: nothing here goes through perdure."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing
from urllib.parse import unquote, urlsplit

import asyncpg

from benchmarks.stores.copying import INSTANCES, is_of_instances
from benchmarks.stores.kind import option, without_options


async def strays(url: str) -> Mapping[str, int]:
    """How many there are in each table; tables without any are left out. Raises ValueError for other databases."""
    if url.startswith("sqlite:"):
        return _in_file(url)
    if url.startswith("postgresql:"):
        return await _on_server(url)
    raise ValueError(f"{url!r}: only SQLite and PostgreSQL are looked into")


def _in_file(url: str) -> Mapping[str, int]:
    with closing(sqlite3.connect(unquote(urlsplit(url).path[1:]))) as connection:
        columns = connection.execute(
            "select m.name, c.name from sqlite_master m, pragma_table_info(m.name) c where m.type = 'table'"
        ).fetchall()
        counts = {table: connection.execute(_count(table)).fetchone()[0] for table in _tables(columns)}
    return {table: count for table, count in counts.items() if count}


async def _on_server(url: str) -> Mapping[str, int]:
    connection = await asyncpg.connect(without_options(url))
    try:
        await connection.execute("select set_config('search_path', $1, false)", option(url, "schema"))
        columns = await connection.fetch(
            "select table_name, column_name from information_schema.columns where table_schema = $1",
            option(url, "schema"),
        )
        counts = {
            table: await connection.fetchval(_count(table)) for table in _tables((each[0], each[1]) for each in columns)
        }
    finally:
        await connection.close()
    return {table: count for table, count in counts.items() if count}


def _tables(columns: Iterable[tuple[str, str]]) -> list[str]:
    by_table: dict[str, list[str]] = {}
    for table, column in columns:
        by_table.setdefault(table, []).append(column)
    return [table for table, of in by_table.items() if table != INSTANCES and is_of_instances(table, of)]


def _count(table: str) -> str:
    return f"select count(*) from {table} where instance_key not in (select key from {INSTANCES})"
