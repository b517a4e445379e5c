"""A connection of asyncpg."""

from __future__ import annotations

import re
import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import asyncpg

from perdure.backends.postgres.dialect import POSTGRES, placed
from perdure.backends.postgres.options import PostgresOptions
from perdure.backends.sql.driven import DrivenSession, Statement
from perdure.backends.sql.session import Rows

_LOCK_TIMEOUT = "100ms"  # as long as a commit may take; who takes longer is gone round (network/aside.py)
# Connections of PgBouncer's have served others: what is set holds for a transaction.
_BEGIN_BEHIND_PGBOUNCER = f"begin isolation level read committed; set local lock_timeout = '{_LOCK_TIMEOUT}'"
_DEAD_NETWORK_SECONDS = 10

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

    def __init__(self, dsn: str, options: PostgresOptions, settings: Mapping[str, str] | None = None) -> None:
        """`settings` are the server's, for this connection."""
        super().__init__()
        self._dsn = dsn
        self._options = options
        self._settings = settings or {}
        self._connection: asyncpg.Connection | None = None
        self.is_pooled = options.pgbouncer
        """Whether the next statement may go to another connection of the server's, which knows nothing of the last one."""
        self.begin_text = _BEGIN_BEHIND_PGBOUNCER if options.pgbouncer else "begin"

    # --- the connection

    async def connect(self) -> None:
        options = self._options
        arguments: dict[str, Any] = {
            "timeout": min(options.timeout_seconds, 10.0),
            "command_timeout": options.timeout_seconds,
            # Of several hosts the one that can be written; and a server that has become a replica isn't taken for the old one.
            "target_session_attrs": "read-write",
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
                "lock_timeout": _LOCK_TIMEOUT,
                "default_transaction_isolation": "read committed",
                # A process that stands still, or whose machine is gone, keeps no rows locked.
                "idle_in_transaction_session_timeout": "5s",
                **self._settings,
            }
        self._connection = await asyncpg.connect(self._dsn, **arguments)
        notice_dead_network(self._connection)

    async def disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None and not connection.is_closed():
            with suppress(Exception):  # one that is lost is cut
                await connection.close(timeout=1)
            connection.terminate()

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


def notice_dead_network(connection: asyncpg.Connection) -> None:
    """Have the system cut a connection over which nothing comes through any more, long before leases lapse."""
    sock = connection._transport.get_extra_info("socket")
    if sock is None or sock.family == getattr(socket, "AF_UNIX", None):
        return
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (
        ("TCP_KEEPIDLE", _DEAD_NETWORK_SECONDS // 2),
        ("TCP_KEEPINTVL", 1),
        ("TCP_KEEPCNT", _DEAD_NETWORK_SECONDS // 2),
        ("TCP_USER_TIMEOUT", _DEAD_NETWORK_SECONDS * 1_000),
    ):
        option = getattr(socket, name, None)  # not every system has each
        if option is not None:
            sock.setsockopt(socket.IPPROTO_TCP, option, value)


def _count(status: str) -> int:
    """How many rows it was about, out of `UPDATE 3`."""
    *_, last = status.split(" ")
    return int(last) if last.isdigit() else 0
