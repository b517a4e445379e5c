"""A database with a store and a table of the user's own in it."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest

from perdure.client.client import Client
from perdure.clock import random_id
from tests.backends.mysql_helpers import SERVERS, drop_tables, new_prefix
from tests.backends.mysql_helpers import server as mysql_server
from tests.stores import service_url
from tests.transactions.kinds import Database


@asynccontextmanager
async def database_of(scheme: str, folder: Path) -> AsyncIterator[Database]:
    """A store that is there, and a table `orders` beside it."""
    if scheme == "sqlite":
        database = Database(f"sqlite:///{folder / 'shop.db'}")
        connection = sqlite3.connect(database.path)
        connection.execute("create table orders (id text primary key)")
        connection.close()
        async with Client(database.url):
            yield database
        return
    if scheme in SERVERS:
        database = Database(service_url(scheme), prefix=new_prefix())
        async with mysql_server(database.url) as cursor:
            await cursor.execute(f"create table {database.orders} (id varchar(100) primary key)")
            backend = database.backend()
            await backend.open()
            await backend.close()
            yield database
            await drop_tables(cursor, database.prefix or "")
        return
    schema = f"t{random_id().hex()}"
    database = Database(service_url("postgresql"), schema)
    server = await asyncpg.connect(database.url)
    try:
        await server.execute(f"create schema {schema}; create table {schema}.orders (id text primary key)")
        backend = database.backend()
        await backend.open()
        await backend.close()
        yield database
    finally:
        await server.execute(f"drop schema {schema} cascade")
        await server.close()


@pytest.fixture
async def sqlite_database(tmp_path: Path) -> AsyncIterator[Database]:
    async with database_of("sqlite", tmp_path) as database:
        yield database


@pytest.fixture
async def postgres_database(tmp_path: Path) -> AsyncIterator[Database]:
    async with database_of("postgresql", tmp_path) as database:
        yield database
