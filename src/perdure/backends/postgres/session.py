"""A connection of asyncpg, used synchronously from the thread that it belongs to, on an event loop of its own."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Coroutine, Generator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import asyncpg

from perdure.backends.postgres.dialect import POSTGRES, placed
from perdure.backends.postgres.options import PostgresOptions

T = TypeVar("T")

_TABLE = re.compile(r"(?<!index )\bperdure_")  # an index is in the schema of its table


class Rows:
    """What a statement gave."""

    __slots__ = ("_rows", "rowcount")

    def __init__(self, rows: Sequence[Any], rowcount: int) -> None:
        self._rows = rows
        self.rowcount = rowcount

    def fetchone(self) -> Any:
        return tuple(self._rows[0]) if self._rows else None

    def fetchall(self) -> list[Any]:
        return [tuple(row) for row in self._rows]


class PostgresSession:
    """Opens a transaction by itself, before the first statement that locks or writes; `commit` ends it."""

    dialect = POSTGRES

    def __init__(self, dsn: str, options: PostgresOptions) -> None:
        self._dsn = dsn
        self._options = options
        self._loop: asyncio.AbstractEventLoop | None = None
        self._connection: asyncpg.Connection | None = None
        self._texts: dict[str, tuple[str, bool, bool]] = {}
        self._prefix = "perdure_" if options.schema is None else f'"{options.schema}".perdure_'
        self.is_in_transaction = False

    # --- the connection

    def open(self) -> None:
        """Raises asyncpg's errors, or OSError."""
        self.close()
        self._loop = asyncio.new_event_loop()
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
        self._connection = self.run(asyncpg.connect(self._dsn, **arguments))

    def close(self) -> None:
        """However it is. Raises nothing."""
        loop, connection = self._loop, self._connection
        self._loop = self._connection = None
        self.is_in_transaction = False
        if loop is None:
            return
        try:
            if connection is not None and not connection.is_closed():
                loop.run_until_complete(connection.close(timeout=2))
        except (Exception, asyncio.CancelledError):
            if connection is not None:
                connection.terminate()
        finally:
            loop.close()

    @property
    def connection(self) -> asyncpg.Connection:
        if self._connection is None:
            raise ConnectionError("the connection isn't open")
        return self._connection

    def run(self, doing: Coroutine[Any, Any, T]) -> T:
        assert self._loop is not None
        return self._loop.run_until_complete(doing)

    # --- statements

    def execute(self, template: str, parameters: Sequence[Any] = (), /) -> Rows:
        known = self._texts.get(template)
        if known is None:
            known = self._texts[template] = self._prepared(template)
        text, gives_rows, is_plain = known
        if not is_plain:
            self.begin()
        if gives_rows:
            found = self.run(self.connection.fetch(text, *parameters))
            return Rows(found, len(found))
        status = self.run(self.connection.execute(text, *parameters))
        return Rows((), _count(status))

    def fetch_direct(self, text: str, parameters: Sequence[Any]) -> list[Any]:
        """A statement as it is, in the transaction if there is one."""
        return self.run(self.connection.fetch(self.qualified(text), *parameters))

    def begin(self) -> None:
        if not self.is_in_transaction:
            self.run(self.connection.execute("begin"))
            self.is_in_transaction = True

    def commit(self) -> None:
        if self.is_in_transaction:
            self.is_in_transaction = False
            self.run(self.connection.execute("commit"))

    def roll_back(self) -> None:
        """Raises nothing: a connection that can't do it is found to be lost by the next statement."""
        if self.is_in_transaction:
            self.is_in_transaction = False
            try:
                self.run(self.connection.execute("rollback"))
            except Exception:
                if self._connection is not None:
                    self._connection.terminate()

    @contextmanager
    def snapshot(self) -> Generator[None]:
        """What is read within it is of one moment."""
        self.run(self.connection.execute("begin isolation level repeatable read read only"))
        self.is_in_transaction = True
        try:
            yield
        finally:
            self.roll_back()

    def has_table(self, name: str) -> bool:
        found = self.run(self.connection.fetchval("select to_regclass($1)", self.qualified(name)))
        return found is not None

    def qualified(self, text: str) -> str:
        """The text with the tables' schema."""
        return text if self._options.schema is None else _TABLE.sub(self._prefix, text)

    def _prepared(self, template: str) -> tuple[str, bool, bool]:
        text = self.qualified(placed(POSTGRES.fill(template)))
        gives_rows = text.lstrip().lower().startswith(("select", "with"))
        return text, gives_rows, gives_rows and "for update" not in text


def _count(status: str) -> int:
    """How many rows it was about, out of `UPDATE 3`."""
    *_, last = status.split(" ")
    return int(last) if last.isdigit() else 0
