"""What the tests of MySQL and MariaDB need."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from asyncmy.cursors import Cursor

from perdure.backends.mysql import address
from perdure.backends.mysql.session import connected
from perdure.backends.urls import StoreUrl
from perdure.clock import random_id

SERVERS = ["mysql", "mariadb"]


def new_prefix() -> str:
    return f"t{random_id().hex()[:12]}_"


def address_of(url: str) -> address.Address:
    parsed = StoreUrl(url)
    return address.address_of(parsed, parsed.options)


@asynccontextmanager
async def server(url: str) -> AsyncGenerator[Cursor]:
    connection = await connected(address_of(url), 10)
    async with connection:
        yield connection.cursor()


async def fetch(cursor: Cursor, text: str) -> list[tuple[Any, ...]]:
    await cursor.execute(text)
    return list(await cursor.fetchall())


async def tables(cursor: Cursor, prefix: str) -> list[str]:
    found = await fetch(cursor, "select table_name from information_schema.tables where table_schema = database()")
    return [name for (name,) in found if name.startswith(prefix)]


async def drop_tables(cursor: Cursor, prefix: str) -> None:
    names = await tables(cursor, prefix)
    if names:
        await cursor.execute(f"drop table {', '.join(names)}")
