"""MySQL and MariaDB: a database for each run."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import asyncmy

from benchmarks.stores.copying import INSTANCES, copy, is_of_instances
from benchmarks.stores.kind import without_options

_SETTINGS = (
    "version",
    "innodb_flush_log_at_trx_commit",
    "sync_binlog",
    "log_bin",
    "innodb_doublewrite",
    "innodb_buffer_pool_size",
    "innodb_flush_method",
)
_ON_DISK = {"innodb_flush_log_at_trx_commit": "1", "innodb_doublewrite": "ON"}
_PROMISED: Mapping[str, Mapping[str, Any]] = {
    "mariadb": _ON_DISK,  # its log of changes is off, as it comes
    "mysql": _ON_DISK | {"log_bin": "ON", "sync_binlog": "1"},
}
_RECURSION = ("cte_max_recursion_depth", "max_recursive_iterations")
"""How deep a recursive query may go: MySQL's word for it, and MariaDB's."""


class Mysql:
    """The server of PERDURE_TEST_MYSQL or PERDURE_TEST_MARIADB, or of another URL."""

    is_remote = True

    def __init__(self, name: str) -> None:
        self.name = name
        self.schemes = (name,)
        self.promised: Mapping[str, Any] = _PROMISED[name]

    def url(self) -> str | None:
        return os.environ.get(f"PERDURE_TEST_{self.name.upper()}")

    async def fresh(self, url: str, folder: Path, run: str) -> str:
        return await self._created(urlsplit(url)._replace(path=f"/perdure_bench_{run}").geturl())

    async def beside(self, url: str) -> str:
        return await self._created(urlsplit(url)._replace(path=f"{urlsplit(url).path}_beside").geturl())

    async def _created(self, url: str) -> str:
        async with _connected(url, database=False) as connection:
            await _rows(connection, f"create database if not exists `{urlsplit(url).path[1:]}`")
        return url

    async def settings(self, url: str) -> dict[str, Any]:
        async with _connected(url, database=False) as connection:
            return dict(await _rows(connection, f"show global variables where variable_name in {_SETTINGS}"))

    async def multiply(self, url: str, templates: Mapping[str, int]) -> None:
        async with _connected(url) as connection:
            for name, _ in await _rows(connection, f"show variables where variable_name in {_RECURSION}"):
                await _rows(connection, f"set session {name} = 100000000")
            columns: dict[str, list[str]] = {}
            for table, column in await _rows(
                connection,
                "select table_name, column_name from information_schema.columns "
                "where table_schema = database() and coalesce(generation_expression, '') = '' order by ordinal_position",
            ):
                columns.setdefault(table, []).append(column)
            of_instances = {table: of for table, of in columns.items() if is_of_instances(table, of)}
            for template, count in templates.items():
                ((key,),) = await _rows(connection, f"select `key` from {INSTANCES} where instance_id = '{template}'")
                for table, of in of_instances.items():
                    statement = copy(
                        table, of, key, count - 1,
                        integer="signed",
                        numbered="concat(substr(instance_id, 1, instr(instance_id, '-')), lpad(n, 8, '0'))",
                        random="left(unhex(sha2(concat(rand(), n), 256)), 16)",  # MySQL 9 has no md5 any more
                        quote="`",
                    )  # fmt: skip
                    await _rows(connection, statement)
            await _rows(connection, "commit")
            for table in of_instances:
                await _rows(connection, f"analyze table {table}")

    async def commands(self, url: str) -> int:
        """Statements of clients."""
        async with _connected(url, database=False) as connection:
            ((_, found),) = await _rows(connection, "show global status like 'Questions'")
        return int(found)

    async def drop(self, url: str) -> None:
        own = urlsplit(url).path[1:]
        async with _connected(url, database=False) as connection:
            there = (
                f"select schema_name from information_schema.schemata where schema_name in ('{own}', '{own}_beside')"
            )
            for (name,) in await _rows(connection, there):  # "if exists" would have the driver print a warning
                await _rows(connection, f"drop database `{name}`")


@asynccontextmanager
async def _connected(url: str, *, database: bool = True) -> AsyncIterator[Any]:
    parts = urlsplit(without_options(url))
    connection = await asyncmy.connect(
        host=parts.hostname,
        port=parts.port or 3306,
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        database=parts.path[1:] if database else None,
    )
    try:
        yield connection
    finally:
        connection.close()


async def _rows(connection: Any, statement: str) -> Sequence[Any]:
    async with connection.cursor() as cursor:
        await cursor.execute(statement)
        found: Sequence[Any] = await cursor.fetchall()
        return found
