"""The floor on MySQL and MariaDB: a batch is one transaction of a few statements, each of many rows."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import unquote, urlsplit

import asyncmy

from benchmarks.peers.floor_store import COMPLETE_INSTANCE, DELETE_TASK, INSERT_EVENTS, INSERT_INSTANCE, INSERT_TASK

_TABLES = {
    "instances": "id bigint primary key, text_id varchar(200) not null unique, name varchar(200) not null, input blob not null,"
    " created_at bigint, updated_at bigint, result blob",
    "events": "instance bigint, seq int, events blob, primary key (instance, seq)",
    "tasks": "id bigint primary key, instance bigint, lease_ends_at bigint, payload blob",
}
_INSERT_INSTANCES = "insert into instances (id, text_id, name, input, created_at, updated_at) values "
_END = (
    "update instances join ({}) as ended on ended.id = instances.id "
    "set instances.result = ended.result, instances.updated_at = ended.updated_at"
)


class Mysql:
    """One connection."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    async def write(self, rows: list[list[tuple[Any, ...]]]) -> None:
        async with self._connection.cursor() as cursor:
            await self._insert(cursor, _INSERT_INSTANCES, rows[INSERT_INSTANCE])
            await self._insert(cursor, "insert into events values ", rows[INSERT_EVENTS])
            await self._insert(cursor, "insert into tasks values ", rows[INSERT_TASK])
            if old := rows[DELETE_TASK]:
                await cursor.execute(f"delete from tasks where id in ({_marks(len(old))})", [key for (key,) in old])
            if ended := rows[COMPLETE_INSTANCE]:
                one = "select %s as result, %s as updated_at, %s as id"
                many = _END.format(" union all ".join([one] * len(ended)))
                await cursor.execute(many, [value for row in ended for value in row])
        await self._connection.commit()

    async def _insert(self, cursor: Any, sql: str, rows: list[tuple[Any, ...]]) -> None:
        if rows:
            marks = ", ".join([f"({_marks(len(rows[0]))})"] * len(rows))
            await cursor.execute(sql + marks, [value for row in rows for value in row])

    async def count(self) -> tuple[int, int]:
        async with self._connection.cursor() as cursor:
            await cursor.execute("select count(*), count(result) from instances")
            workflows, completed = await cursor.fetchone()
            return workflows, completed


def _marks(number: int) -> str:
    return ", ".join(["%s"] * number)


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Mysql]:
    parts = urlsplit(url)
    connection = await asyncmy.connect(
        host=parts.hostname,
        port=parts.port or 3306,
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        database=parts.path[1:],
    )
    try:
        async with connection.cursor() as cursor:
            await cursor.execute("select table_name from information_schema.tables where table_schema = database()")
            there = {name for (name,) in await cursor.fetchall()}
            for name, columns in _TABLES.items():
                if name not in there:  # "if not exists" would have the driver print a warning
                    await cursor.execute(f"create table {name} ({columns})")
        await connection.commit()
        yield Mysql(connection)
    finally:
        connection.close()
