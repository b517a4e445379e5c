"""A connection of asyncpg."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import asyncpg

from perdure.backends.postgres.dialect import POSTGRES, placed
from perdure.backends.postgres.options import PostgresOptions
from perdure.backends.sql.driven import DrivenSession, Statement
from perdure.backends.sql.session import Rows

_TABLE = re.compile(r"(?<!index )\bperdure_")  # an index is in the schema of its table


class PostgresSession(DrivenSession):
    """Of a store's schema."""

    dialect = POSTGRES
    begin_snapshot = "begin isolation level repeatable read read only"

    def __init__(self, dsn: str, options: PostgresOptions) -> None:
        super().__init__()
        self._dsn = dsn
        self._options = options
        self._connection: asyncpg.Connection | None = None

    # --- the connection

    async def connect(self) -> None:
        options = self._options
        arguments: dict[str, Any] = {
            "timeout": min(options.timeout_seconds, 10.0),
            "command_timeout": options.timeout_seconds,
        }
        if options.pgbouncer:
            arguments["statement_cache_size"] = 0
        else:
            arguments["max_cacheable_statement_size"] = 0
            arguments["statement_cache_size"] = 500
            arguments["server_settings"] = {
                "application_name": "perdure",
                "jit": "off",
                # Statements are as long as their plans are simple: planning them anew would take longer than carrying them out.
                "plan_cache_mode": "force_generic_plan",
                "lock_timeout": "1000",
                "default_transaction_isolation": "read committed",
            }
        self._connection = await asyncpg.connect(self._dsn, **arguments)

    async def disconnect(self) -> None:
        if self._connection is not None and not self._connection.is_closed():
            await self._connection.close(timeout=2)
        self._connection = None

    def abort(self) -> None:
        if self._connection is not None:
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
