"""Where the stores of tests lie on servers: a schema, a prefix of tables, a prefix of keys.

Making tables takes longer than most tests: a test leaves its place empty to the next one, and all places go at the end.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from typing import Any, Protocol
from urllib.parse import urlsplit

import psycopg
import pymysql
from psycopg.sql import SQL, Identifier
from pymysql.constants.CLIENT import MULTI_STATEMENTS
from redis import Redis
from redis.cluster import RedisCluster

from perdure.backends import hub
from perdure.clock import random_id

# The schema's version, and the generation, which only ever goes up.
_KEPT = ("perdure_schema", "perdure_store")


class Places(Protocol):
    """Those on one server, each known by a name. The connection stays, since opening one takes longer than using it."""

    def empty(self, name: str) -> None:
        """Remove all that a store has written there, but no tables."""

    def drop(self, name: str) -> None: ...


@contextmanager
def place(server: str) -> Iterator[str]:
    """The name of a place on the server that nobody else has, with nothing in it; the tables may be there already."""
    name = _free[server].pop() if _free[server] else f"t{random_id().hex()[:12]}_"
    _made.add((server, name))
    yield name
    if not _is_open(name):
        _places(server).empty(name)
        _free[server].append(name)


def _is_open(name: str) -> bool:
    """Whether a test has left a handle of this process on the store: the next one would share what that has in memory."""
    return any(name in key for key in list(hub._hubs))


def drop_all() -> None:
    """Remove every place that this process has made."""
    for server, name in _made:
        _places(server).drop(name)
    _made.clear()
    _free.clear()
    _places.cache_clear()
    _connections.close()


_connections = ExitStack()
_made: set[tuple[str, str]] = set()
_free: defaultdict[str, list[str]] = defaultdict(list)


class _Schemas:
    def __init__(self, server: str) -> None:
        self._connection = _connections.enter_context(psycopg.connect(server, autocommit=True))

    def empty(self, name: str) -> None:
        found = self._connection.execute("select tablename::text from pg_tables where schemaname = %s", [name])
        tables = [Identifier(name, table) for (table,) in found if table not in _KEPT]
        self._connection.execute(SQL(";").join(SQL("delete from {}").format(table) for table in tables))

    def drop(self, name: str) -> None:
        self._connection.execute(SQL("drop schema if exists {} cascade").format(Identifier(name)))


class _Tables:
    def __init__(self, server: str) -> None:
        url = urlsplit(server)
        self._connection = _connections.enter_context(
            pymysql.connect(
                host=url.hostname,
                port=url.port or 3306,
                user=url.username,
                password=url.password or "",
                database=url.path.strip("/"),
                client_flag=MULTI_STATEMENTS,
                autocommit=True,
            )
        )

    def empty(self, name: str) -> None:
        kept = {table.replace("perdure_", name) for table in _KEPT}
        self._execute(f"delete from {table}" for table in self._of(name) if table not in kept)

    def drop(self, name: str) -> None:
        if tables := self._of(name):
            self._execute([f"drop table {', '.join(tables)}"])

    def _of(self, name: str) -> list[str]:
        with self._connection.cursor() as cursor:
            cursor.execute("select table_name from information_schema.tables where table_schema = database()")
            return [table for (table,) in cursor if table.startswith(name)]

    def _execute(self, statements: Iterable[str]) -> None:
        with self._connection.cursor() as cursor:
            cursor.execute(";".join(["begin", *statements, "commit"]))
            while cursor.nextset():
                pass


class _Keys:
    def __init__(self, server: str) -> None:
        is_cluster = server.startswith("redis+cluster")
        kind: Any = RedisCluster if is_cluster else Redis
        self._client = _connections.enter_context(kind.from_url(server.replace("+cluster", "")))

    def empty(self, name: str) -> None:
        if keys := list(self._client.scan_iter(match=f"{{{name}:*", count=1000)):
            self._client.delete(*keys)

    drop = empty


_KINDS: dict[str, Callable[[str], Places]] = {
    "postgresql": _Schemas,
    "mysql": _Tables,
    "mariadb": _Tables,
    "redis": _Keys,
    "redis+cluster": _Keys,
}


@cache
def _places(server: str) -> Places:
    return _KINDS[urlsplit(server).scheme](server)
