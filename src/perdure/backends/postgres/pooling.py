"""Connections out of a pool of the user's.

A pool and its connections belong to the event loop that it was made on. Our threads hand each statement to that loop and wait for
the answer. Each keeps its connection for as long as the store is open, with the settings that statements count on, and gives it
back with those that it had. The pool itself is never closed by us.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import asyncpg

from perdure.backends.postgres.options import PostgresOptions
from perdure.backends.postgres.sources import SETTINGS
from perdure.backends.sql.loops import Loop, PoolLoop
from perdure.errors import ConfigurationError, StoreUnavailable, StoreUsageError

_READ = "select name, current_setting(name) from unnest($1::text[]) as s(name)"
_WRITE = "select set_config(name, value, false) from unnest($1::text[], $2::text[]) as s(name, value)"
_TAKE_SECONDS = 10.0
_GIVE_BACK_SECONDS = 2.0


def connections_of(options: PostgresOptions) -> int:
    """How many a process keeps: one writes, one reads, and with notices one tells and one listens."""
    return 4 if options.has_notices else 2


class PoolSource:
    """A pool."""

    def __init__(self, pool: object, url: str, options: PostgresOptions) -> None:
        """`url` is without secrets. Raises ConfigurationError if it isn't a pool, or has too few connections."""
        if not isinstance(pool, asyncpg.Pool):
            kind = f"{type(pool).__module__}.{type(pool).__qualname__}"
            raise ConfigurationError(f"pool= takes an asyncpg.Pool, as asyncpg.create_pool gives it, not {kind}")
        self._needed, self._most = connections_of(options), pool.get_max_size()
        if self._most < self._needed:
            raise ConfigurationError(
                f"this pool has at most {self._most} connections, and perdure keeps {self._needed} for as long as the store is "
                f"open: give it max_size={self._needed} and as many more as your own code takes at once"
            )
        self.key = f"pool {id(pool)}"  # as long as the key is in use, so is the pool
        self.url = url
        self._pool = pool
        self._options = options
        self._seconds = min(options.timeout_seconds, _TAKE_SECONDS)
        self._before: dict[int, list[tuple[str, str]]] = {}
        """The settings of the connections that are taken."""

    def loop(self) -> Loop:
        loop: asyncio.AbstractEventLoop = self._pool._loop  # there is no public way to ask for it
        return PoolLoop(loop)

    async def take(self, settings: Mapping[str, str]) -> Any:
        connection = await self._acquire()
        if not self._options.pgbouncer:
            wanted = {**SETTINGS, **settings}
            names, values = list(wanted), list(wanted.values())
            try:
                found = await connection.fetch(_READ, names, timeout=self._seconds)
                self._before[id(connection)] = [tuple(row) for row in found]
                await connection.fetch(_WRITE, names, values, timeout=self._seconds)
            except BaseException:
                await self.give_back(connection)
                raise
        return connection

    async def give_back(self, connection: Any) -> None:
        before = self._before.pop(id(connection), None)
        if connection._con is None:
            return  # it was terminated: the pool has it
        try:
            if before and not connection.is_closed():
                names, values = zip(*before, strict=True)
                await connection.fetch(_WRITE, names, values, timeout=_GIVE_BACK_SECONDS)
        finally:
            await self._pool.release(connection, timeout=_GIVE_BACK_SECONDS)

    async def _acquire(self) -> Any:
        pool = self._pool
        if pool.is_closing():
            raise StoreUsageError("The pool that was given is closed: close perdure's clients and workers before it.")
        try:
            return await pool.acquire(timeout=self._seconds)
        except TimeoutError:
            raise StoreUnavailable(
                f"none of the pool's {self._most} connections became free: perdure keeps {self._needed} for as long as the "
                f"store is open, beside those that your own code takes",
                is_unwritten=True,
            ) from None
        except asyncpg.InterfaceError as problem:
            raise StoreUsageError(f"The pool that was given can't be used: {problem}") from problem
