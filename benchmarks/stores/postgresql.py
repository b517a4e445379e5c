"""PostgreSQL: a schema for each run."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg

from benchmarks.stores.copying import INSTANCES, copy, is_of_instances
from benchmarks.stores.kind import option, with_option, without_options

_SETTINGS = (
    "server_version",
    "synchronous_commit",
    "fsync",
    "full_page_writes",
    "wal_sync_method",
    "shared_buffers",
    "max_wal_size",
)


class Postgresql:
    """The server of PERDURE_TEST_POSTGRESQL, or of another URL."""

    name = "postgresql"
    schemes = ("postgresql", "postgres")
    is_remote = True
    promised: Mapping[str, Any] = {"synchronous_commit": "on", "fsync": "on", "full_page_writes": "on"}

    def url(self) -> str | None:
        return os.environ.get("PERDURE_TEST_POSTGRESQL")

    async def fresh(self, url: str, folder: Path, run: str) -> str:
        return with_option(url, "schema", f"bench_{run}")

    async def beside(self, url: str) -> str:
        return with_option(url, "schema", f"{option(url, 'schema')}_beside")

    async def settings(self, url: str) -> dict[str, Any]:
        async with _connected(url) as connection:
            return {name: await connection.fetchval("select current_setting($1)", name) for name in _SETTINGS}

    async def multiply(self, url: str, templates: Mapping[str, int]) -> None:
        schema = option(url, "schema")
        async with _connected(url) as connection, connection.transaction():
            await connection.execute(f'set local search_path to "{schema}"')
            rows = await connection.fetch(
                "select table_name, column_name from information_schema.columns where table_schema = $1", schema
            )
            columns: dict[str, list[str]] = {}
            for table, column in rows:
                columns.setdefault(table, []).append(column)
            of_instances = {table: of for table, of in columns.items() if is_of_instances(table, of)}
            for template, count in templates.items():
                key = await connection.fetchval(f"select key from {INSTANCES} where instance_id = $1", template)
                for table, of in of_instances.items():
                    await connection.execute(
                        copy(
                            table, of, key, count - 1,
                            integer="bigint",
                            numbered="substr(instance_id, 1, strpos(instance_id, '-')) || lpad(n::text, 8, '0')",
                            random="decode(md5(random()::text || n::text), 'hex')",
                        )
                    )  # fmt: skip
            for table in of_instances:
                await connection.execute(f"analyze {table}")  # autovacuum would have done it while they came

    async def commands(self, url: str) -> int:
        """Transactions: a statement alone is one."""
        async with _connected(url) as connection:
            found = await connection.fetchval(
                "select xact_commit + xact_rollback from pg_stat_database where datname = current_database()"
            )
        return int(found)

    async def drop(self, url: str) -> None:
        async with _connected(url) as connection:
            for end in ("", "_beside"):
                await connection.execute(f'drop schema if exists "{option(url, "schema")}{end}" cascade')


@asynccontextmanager
async def _connected(url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(without_options(url))
    try:
        yield connection
    finally:
        await connection.close()
