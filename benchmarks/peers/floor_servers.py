"""The floor's stores on servers: one connection; what comes while a batch is on its way becomes the next one.

A batch is one transaction in as few round trips as are easily had: a statement on PostgreSQL, a script on Redis. Nothing is compared
with what stands there, as an engine has to.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Protocol
from urllib.parse import urlsplit

from benchmarks.peers import floor_mysql, floor_postgresql, floor_redis
from benchmarks.peers.floor_store import LARGEST_COMMIT, Step, rows_of
from benchmarks.peers.measure import Stored


class Server(Protocol):
    """An open connection, with tables that are there."""

    async def write(self, rows: list[list[tuple[Any, ...]]]) -> None:
        """All of it or nothing; by the numbers of floor_store.STATEMENTS."""
        ...

    async def count(self) -> tuple[int, int]:
        """How many workflows there are, and how many of them have ended."""
        ...


_SERVERS: Mapping[str, Callable[[str], AbstractAsyncContextManager[Server]]] = {
    "postgresql": floor_postgresql.opened,
    "mariadb": floor_mysql.opened,
    "mysql": floor_mysql.opened,
    "redis": floor_redis.opened,
}


class ServerStore:
    """Group commit on the event loop."""

    def __init__(self, server: Server, kind: str) -> None:
        self.settings = {"server": kind}
        self._server = server
        self._loop = asyncio.get_running_loop()
        self._pending: list[Step] = []
        self._has_some = asyncio.Event()

    def submit(self, step: Step) -> None:
        self._pending.append(step)
        self._has_some.set()

    async def serve(self) -> None:
        """Write until cancelled."""
        while await self._has_some.wait():
            batch, self._pending = self._pending[:LARGEST_COMMIT], self._pending[LARGEST_COMMIT:]
            if not self._pending:
                self._has_some.clear()
            await self._server.write(rows_of(batch))
            self._loop.call_soon(_tell, batch)  # the server first, then those who wait


def _tell(batch: list[Step]) -> None:
    for step in batch:
        for call in step.afterwards:
            call()


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[ServerStore]:
    kind = urlsplit(url).scheme
    async with _SERVERS[kind](url) as server, asyncio.TaskGroup() as tasks:  # a write that fails ends it all
        store = ServerStore(server, kind)
        serving = tasks.create_task(store.serve())
        yield store
        serving.cancel()


async def stored(url: str) -> Stored:
    async with _SERVERS[urlsplit(url).scheme](url) as server:
        workflows, completed = await server.count()
        return Stored(workflows=workflows, completed=completed)
