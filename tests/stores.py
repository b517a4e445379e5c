"""Empty stores of every kind for tests, and the servers that they need. A new kind joins by a line in `_EMPTY`."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, NoReturn

import asyncpg
import pytest
from redis import Redis
from redis.cluster import RedisCluster

from perdure.clock import random_id
from scripts.servers import SERVERS, variable
from scripts.servers.command_line import MAY_BE_MISSING_IN_CI
from tests.backends import mysql_helpers


def service_url(name: str) -> str:
    """The URL of a running server of that name (scripts/services has the names); without one the test is skipped."""
    return os.environ.get(variable(name)) or _without(name)


def _without(name: str) -> NoReturn:
    reason = (
        f"no {SERVERS[name].title}: {variable(name)} is not set. `make test` and `scripts/services run -- COMMAND` start one for "
        'as long as they run, `eval "$(scripts/services start)"` until `scripts/services stop`; compose.yaml does it with Docker'
    )
    if "CI" in os.environ and name not in MAY_BE_MISSING_IN_CI:
        pytest.fail(reason)
    pytest.skip(reason)


@contextmanager
def _in_memory(folder: Path) -> Iterator[str]:
    yield f"memory://{random_id().hex()}"


@contextmanager
def _in_file(folder: Path) -> Iterator[str]:
    yield f"sqlite:///{folder / random_id().hex()}.db"


@contextmanager
def postgresql_schema(server: str) -> Iterator[str]:
    """The URL of a schema that isn't there yet, and that goes afterwards."""
    schema = f"t{random_id().hex()}"

    async def drop() -> None:
        connection = await asyncpg.connect(server)
        await connection.execute(f'drop schema if exists "{schema}" cascade')
        await connection.close()

    yield f"{server}?schema={schema}"
    asyncio.run(drop())


@contextmanager
def mysql_tables(server: str) -> Iterator[str]:
    """The URL of tables that aren't there yet, and that go afterwards."""
    prefix = mysql_helpers.new_prefix()

    async def drop() -> None:
        async with mysql_helpers.server(server) as cursor:
            await mysql_helpers.drop_tables(cursor, prefix)

    yield f"{server}?prefix={prefix}"
    asyncio.run(drop())


@contextmanager
def redis_keys(server: str) -> Iterator[str]:
    """The URL of keys that aren't there yet, and that go afterwards."""
    prefix = f"test-{random_id().hex()}"
    yield f"{server}?prefix={prefix}"
    if server.startswith("redis+cluster"):
        client: Any = RedisCluster.from_url(server.replace("redis+cluster", "redis"))
    else:
        client = Redis.from_url(server)
    for key in client.scan_iter(match=f"{{{prefix}:*", count=1000):
        client.delete(key)
    client.close()


_EMPTY: dict[str, Callable[[Path], AbstractContextManager[str]]] = {
    "memory": _in_memory,
    "sqlite": _in_file,
    "postgresql": lambda _: postgresql_schema(service_url("postgresql")),
    "mariadb": lambda _: mysql_tables(service_url("mariadb")),
    "mysql": lambda _: mysql_tables(service_url("mysql")),
    "redis": lambda _: redis_keys(service_url("redis")),
    "redis-cluster": lambda _: redis_keys(service_url("redis-cluster")),
}

ON_SERVERS = tuple(name for name in _EMPTY if name not in {"memory", "sqlite"})
SHARED = ("sqlite", *ON_SERVERS)
"""Those that several processes can work on at once."""
ALL = ("memory", *SHARED)


QUICK = frozenset({"memory", "sqlite", "postgresql"})
"""Kinds on which every run of the suite does all that can be done with a store; on the others `make soak` does."""


def as_parameters(names: tuple[str, ...], *, soaks: bool = False) -> list[object]:
    """Of a fixture. Those on servers are marked so; with `soaks`, those that aren't quick are left to `make soak`."""
    return [pytest.param(name, marks=marks_of(name, soaks=soaks)) for name in names]


def marks_of(*names: str, soaks: bool) -> list[pytest.MarkDecorator]:
    """Of a test on these kinds of stores."""
    marks = [pytest.mark.server] if {*names} & {*ON_SERVERS} else []
    if soaks and not QUICK.issuperset(names):
        marks.append(pytest.mark.soak)
    return marks


def empty_store(name: str, folder: Path) -> AbstractContextManager[str]:
    """The URL of a store of its own, which goes afterwards; the folder is for those that are files."""
    return _EMPTY[name](folder)
