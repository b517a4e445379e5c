"""Another program, with an open transaction in perdure's tables: a line in `_STRANGERS` for each kind of SQL server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from urllib.parse import parse_qs, urlsplit

import asyncmy
import asyncpg

from tests.backends.mysql_helpers import address_of

Execute = Callable[[str], Awaitable[object]]


@asynccontextmanager
async def _postgresql(url: str) -> AsyncIterator[Execute]:
    parts = urlsplit(url)
    connection = await asyncpg.connect(parts._replace(query="").geturl())
    await connection.execute(f'set search_path to "{parse_qs(parts.query)["schema"][0]}"')
    await connection.execute("begin")
    try:
        yield connection.execute
        await connection.execute("rollback")
    finally:
        await connection.close()


@asynccontextmanager
async def _mysql(url: str) -> AsyncIterator[Execute]:
    (prefix,) = parse_qs(urlsplit(url).query)["prefix"]
    connection = await asyncmy.connect(**address_of(url))
    cursor = connection.cursor()
    await cursor.execute("set session transaction isolation level read committed")
    await connection.begin()
    try:
        yield lambda text: cursor.execute(text.replace("perdure_", prefix).replace(" key ", " `key` "))
        await connection.rollback()
    finally:
        await connection.ensure_closed()


_STRANGERS: dict[str, Callable[[str], AbstractAsyncContextManager[Execute]]] = {
    "postgresql": _postgresql,
    "mariadb": _mysql,
    "mysql": _mysql,
}

LOCKING = tuple(_STRANGERS)
"""Kinds of stores whose rows a stranger can keep locked."""


def stranger(url: str) -> AbstractAsyncContextManager[Execute]:
    """Runs statements in a transaction, which is rolled back at the end."""
    return _STRANGERS[url.partition(":")[0]](url)


def keep(instance_id: str) -> str:
    """The statement that locks an instance."""
    return f"select key from perdure_instances where instance_id = '{instance_id}' for update"
