"""Every kind of connection that `using` takes, each as its own users would use it."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiosqlite
import asyncmy
import asyncpg
import psycopg
from asyncmy.cursors import DictCursor
from sqlalchemy import create_engine, text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session

from perdure.backends.connect import connect
from perdure.backends.mysql.network import MysqlBackend
from perdure.backends.mysql.options import MysqlOptions
from perdure.backends.postgres import PostgresBackend, PostgresOptions
from perdure.backends.protocol import Backend
from tests.backends.mysql_helpers import address_of


@dataclass(frozen=True)
class Database:
    """A store, and where it is for others."""

    url: str
    schema: str | None = None
    """On PostgreSQL."""
    prefix: str | None = None
    """On MySQL and MariaDB."""

    def backend(self) -> Backend:
        if self.prefix is not None:
            return MysqlBackend(self.url, MysqlOptions(prefix=self.prefix))
        if self.schema is None:
            return connect(self.url)
        return PostgresBackend(self.url, PostgresOptions(schema=self.schema))

    @property
    def orders(self) -> str:
        """The user's own table."""
        return f"{self.prefix}orders" if self.prefix else f"{self.schema}.orders" if self.schema else "orders"

    @property
    def path(self) -> Path:
        return Path(self.url.removeprefix("sqlite:///"))

    def alchemy(self, driver: str) -> str:
        scheme, rest = self.url.split("://", 1)
        return f"{scheme}+{driver}://{rest}"


@dataclass(frozen=True)
class Transaction:
    """A transaction that is open, or opens with the first statement."""

    connection: Any
    """What is passed to `using`."""
    execute: Callable[[str], Awaitable[Any]]
    commit: Callable[[], Awaitable[Any]]
    roll_back: Callable[[], Awaitable[Any]]


Begin = Callable[[Database], AbstractAsyncContextManager[Transaction]]


def _awaitable(function: Any) -> Callable[..., Awaitable[Any]]:
    async def call(*arguments: Any) -> Any:
        return function(*arguments)

    return call


@asynccontextmanager
async def by_sqlite3(database: Database) -> AsyncIterator[Transaction]:
    connection = sqlite3.connect(database.path)
    connection.row_factory = lambda cursor, row: {"of": "the user"}
    try:
        yield Transaction(connection, *map(_awaitable, (connection.execute, connection.commit, connection.rollback)))
    finally:
        connection.close()


@asynccontextmanager
async def by_aiosqlite(database: Database) -> AsyncIterator[Transaction]:
    async with aiosqlite.connect(database.path) as connection:
        yield Transaction(connection, connection.execute, connection.commit, connection.rollback)


@asynccontextmanager
async def by_asyncpg(database: Database) -> AsyncIterator[Transaction]:
    connection = await asyncpg.connect(database.url)
    transaction = connection.transaction()
    await transaction.start()
    try:
        yield Transaction(connection, connection.execute, transaction.commit, transaction.rollback)
    finally:
        await connection.close()


@asynccontextmanager
async def by_asyncpg_pool(database: Database) -> AsyncIterator[Transaction]:
    async with asyncpg.create_pool(database.url, min_size=1, max_size=1) as pool, pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        yield Transaction(connection, connection.execute, transaction.commit, transaction.rollback)


@asynccontextmanager
async def by_asyncmy(database: Database) -> AsyncIterator[Transaction]:
    connection = await asyncmy.connect(**address_of(database.url), cursor_cls=DictCursor)
    try:
        await connection.begin()
        cursor = connection.cursor()
        yield Transaction(connection, cursor.execute, connection.commit, connection.rollback)
    finally:
        await connection.ensure_closed()


@asynccontextmanager
async def by_psycopg_async(database: Database) -> AsyncIterator[Transaction]:
    connection: Any = await psycopg.AsyncConnection.connect(database.url, row_factory=psycopg.rows.dict_row)
    try:
        yield Transaction(connection, connection.execute, connection.commit, connection.rollback)
    finally:
        await connection.close()


@asynccontextmanager
async def by_psycopg(database: Database) -> AsyncIterator[Transaction]:
    connection: Any = psycopg.connect(database.url, row_factory=psycopg.rows.dict_row)
    try:
        yield Transaction(connection, *map(_awaitable, (connection.execute, connection.commit, connection.rollback)))
    finally:
        connection.close()


def by_alchemy_session(driver: str) -> Begin:
    @asynccontextmanager
    async def begin(database: Database) -> AsyncIterator[Transaction]:
        engine = create_engine(database.alchemy(driver))
        with Session(engine) as session:

            async def execute(statement: str) -> Any:
                return session.execute(text(statement))

            yield Transaction(session, execute, *map(_awaitable, (session.commit, session.rollback)))
        engine.dispose()

    return begin


def by_alchemy_connection(driver: str) -> Begin:
    @asynccontextmanager
    async def begin(database: Database) -> AsyncIterator[Transaction]:
        engine = create_engine(database.alchemy(driver))
        with engine.connect() as connection:

            async def execute(statement: str) -> Any:
                return connection.execute(text(statement))

            yield Transaction(connection, execute, *map(_awaitable, (connection.commit, connection.rollback)))
        engine.dispose()

    return begin


def by_alchemy_async_session(driver: str) -> Begin:
    @asynccontextmanager
    async def begin(database: Database) -> AsyncIterator[Transaction]:
        engine = create_async_engine(database.alchemy(driver))
        async with AsyncSession(engine) as session:

            async def execute(statement: str) -> Any:
                return await session.execute(text(statement))

            yield Transaction(session, execute, session.commit, session.rollback)
        await engine.dispose()

    return begin


def by_alchemy_async_connection(driver: str) -> Begin:
    @asynccontextmanager
    async def begin(database: Database) -> AsyncIterator[Transaction]:
        engine = create_async_engine(database.alchemy(driver))
        async with engine.connect() as connection:

            async def execute(statement: str) -> Any:
                return await connection.execute(text(statement))

            yield Transaction(connection, execute, connection.commit, connection.rollback)
        await engine.dispose()

    return begin


KINDS: dict[str, dict[str, Begin]] = {
    "sqlite": {
        "sqlite3": by_sqlite3,
        "aiosqlite": by_aiosqlite,
        "Session of pysqlite": by_alchemy_session("pysqlite"),
        "Connection of pysqlite": by_alchemy_connection("pysqlite"),
        "AsyncSession of aiosqlite": by_alchemy_async_session("aiosqlite"),
        "AsyncConnection of aiosqlite": by_alchemy_async_connection("aiosqlite"),
    },
    "postgresql": {
        "asyncpg": by_asyncpg,
        "asyncpg's pool": by_asyncpg_pool,
        "psycopg, async": by_psycopg_async,
        "psycopg": by_psycopg,
        "Session of psycopg": by_alchemy_session("psycopg"),
        "Connection of psycopg": by_alchemy_connection("psycopg"),
        "AsyncSession of asyncpg": by_alchemy_async_session("asyncpg"),
        "AsyncConnection of asyncpg": by_alchemy_async_connection("asyncpg"),
        "AsyncSession of psycopg": by_alchemy_async_session("psycopg"),
    },
    **{
        scheme: {
            "asyncmy": by_asyncmy,
            "AsyncSession of asyncmy": by_alchemy_async_session("asyncmy"),
            "AsyncConnection of asyncmy": by_alchemy_async_connection("asyncmy"),
            "Session of PyMySQL": by_alchemy_session("pymysql"),
        }
        for scheme in ("mysql", "mariadb")
    },
}
"""By the store's scheme."""

ALL = [(scheme, kind) for scheme, kinds in KINDS.items() for kind in kinds]
