"""A connection of asyncpg."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import asyncpg

from perdure.backends.postgres.dialect import POSTGRES, placed
from perdure.backends.postgres.options import PostgresOptions
from perdure.backends.postgres.sources import LOCK_TIMEOUT, Source
from perdure.backends.sql.driven import DrivenSession, Statement
from perdure.backends.sql.loops import Loop
from perdure.backends.sql.session import Rows

# Connections of PgBouncer's have served others: what is set holds for a transaction.
_BEGIN_BEHIND_PGBOUNCER = f"begin isolation level read committed; set local lock_timeout = '{LOCK_TIMEOUT}'"
OF_WRITING = {
    # Plans are kept, and the first ones are made for tables that are empty: what is faster there reads all of them later. Whoever
    # writes finds every row by an index.
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
}
"""Settings of the connection that writes."""

_TABLE = re.compile(r"(?<!index )\bperdure_")  # an index is in the schema of its table


class PostgresSession(DrivenSession):
    """Of a store's schema."""

    dialect = POSTGRES
    begin_snapshot = "begin isolation level repeatable read read only"

    def __init__(self, source: Source, options: PostgresOptions, settings: Mapping[str, str] | None = None) -> None:
        """`settings` are the server's, for this connection."""
        super().__init__(options.timeout_seconds)
        self._source = source
        self._options = options
        self._settings = settings or {}
        self._connection: asyncpg.Connection | None = None
        self.is_pooled = options.pgbouncer
        """Whether the next statement may go to another connection of the server's, which knows nothing of the last one."""
        self.begin_text = _BEGIN_BEHIND_PGBOUNCER if options.pgbouncer else "begin"

    # --- the connection

    def loop(self) -> Loop:
        return self._source.loop()

    async def connect(self) -> None:
        self._connection = await self._source.take(self._settings)

    async def disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await self._source.give_back(connection)

    def abort(self) -> None:
        if self._connection is not None:
            with suppress(asyncpg.InterfaceError):  # one of a pool that has been given back
                self._connection.terminate()

    @property
    def connection(self) -> asyncpg.Connection:
        if self._connection is None:
            raise ConnectionError("the connection isn't open")
        return self._connection

    # --- statements

    async def ask(self, statement: Statement, parameters: Sequence[Any]) -> Rows:
        if statement.gives_rows:
            found = await self.connection.fetch(statement.text, *parameters)
            return Rows(found, len(found))
        status = await self.connection.execute(statement.text, *parameters)
        return Rows((), _count(status))

    async def control(self, text: str) -> None:
        await self.connection.execute(text)

    def fetch_direct(self, text: str, parameters: Sequence[Any]) -> list[Any]:
        """A statement as it is, in the transaction if there is one."""
        return self.run(self.connection.fetch(self.qualified(text), *parameters))

    @property
    def schema(self) -> str | None:
        return self._options.schema

    def has_table(self, name: str) -> bool:
        found = self.run(self.connection.fetchval("select to_regclass($1)", self.qualified(name)))
        return found is not None

    def text_of(self, template: str) -> str:
        return self.qualified(placed(POSTGRES.fill(template)))

    def qualified(self, text: str) -> str:
        """The text with the tables' schema."""
        return qualified(text, self._options.schema)


def qualified(text: str, schema: str | None) -> str:
    """The text with the tables' schema."""
    return text if schema is None else _TABLE.sub(f'"{schema}".perdure_', text)


def _count(status: str) -> int:
    """How many rows it was about, out of `UPDATE 3`."""
    *_, last = status.split(" ")
    return int(last) if last.isdigit() else 0
