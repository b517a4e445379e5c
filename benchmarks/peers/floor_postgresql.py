"""The floor on PostgreSQL: a batch is one statement, with an array for each column."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from benchmarks.peers.floor_store import COMPLETE_INSTANCE, DELETE_TASK, INSERT_EVENTS, INSERT_INSTANCE, INSERT_TASK
from benchmarks.stores.kind import option, without_options

_TABLES = """
create table if not exists instances (
    id bigint primary key, text_id text not null unique, name text not null, input bytea not null,
    created_at bigint, updated_at bigint, result bytea);
create table if not exists events (instance bigint, seq int, events bytea, primary key (instance, seq));
create table if not exists tasks (id bigint primary key, instance bigint, lease_ends_at bigint, payload bytea);
"""
_WRITE = """
with new_instances as (
    insert into instances
    select * from unnest($1::bigint[], $2::text[], $3::text[], $4::bytea[], $5::bigint[], $6::bigint[])),
new_events as (insert into events select * from unnest($7::bigint[], $8::int[], $9::bytea[])),
new_tasks as (insert into tasks select * from unnest($10::bigint[], $11::bigint[], $12::bigint[], $13::bytea[])),
old_tasks as (delete from tasks where id = any($14::bigint[])),
ended as (
    update instances set result = new.result, updated_at = new.updated_at
    from unnest($15::bytea[], $16::bigint[], $17::bigint[]) as new(result, updated_at, id)
    where instances.id = new.id)
select 1
"""
_COLUMNS = {INSERT_INSTANCE: 6, INSERT_EVENTS: 3, INSERT_TASK: 4, DELETE_TASK: 1, COMPLETE_INSTANCE: 3}


class Postgresql:
    """One connection."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection

    async def write(self, rows: list[list[tuple[Any, ...]]]) -> None:
        columns: list[Any] = []
        for statement, width in _COLUMNS.items():
            columns += zip(*rows[statement], strict=True) if rows[statement] else [()] * width
        await self._connection.fetchval(_WRITE, *columns)

    async def count(self) -> tuple[int, int]:
        workflows, completed = await self._connection.fetchrow("select count(*), count(result) from instances")
        return workflows, completed


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Postgresql]:
    schema = option(url, "schema")
    connection = await asyncpg.connect(without_options(url), server_settings={"search_path": schema})
    try:
        await connection.execute(f'create schema if not exists "{schema}"')
        await connection.execute(_TABLES)
        # The plan of empty tables would be kept for full ones.
        await connection.execute("set enable_seqscan = off; set enable_hashjoin = off; set enable_mergejoin = off")
        yield Postgresql(connection)
    finally:
        await connection.close()
