"""The user's own transaction in a PostgreSQL database.

NOTIFY inside it is delivered when it commits: workers learn at once of what they could else only find by looking. A shared advisory
lock keeps the store from being sealed (moved) before the transaction has ended: the move would miss what it writes.
"""

from __future__ import annotations

import sys
from base64 import b85encode
from collections.abc import Sequence
from contextlib import AbstractContextManager
from functools import lru_cache
from typing import Any

import asyncpg

from perdure.backends.joining.alchemy import sqlalchemy_lender
from perdure.backends.joining.joining import unsuitable
from perdure.backends.joining.loan import Blocking, Lender, Loan, OnLoop
from perdure.backends.joining.servers import check_origin
from perdure.backends.network.link import Conflict
from perdure.backends.notices import Outgoing
from perdure.backends.postgres.dialect import POSTGRES, placed
from perdure.backends.postgres.link import channel
from perdure.backends.postgres.options import PostgresOptions
from perdure.backends.postgres.session import qualified
from perdure.backends.postgres.tables import PostgresTables, seal_lock
from perdure.backends.sql.schema import Origin
from perdure.backends.sql.session import Rows
from perdure.backends.wakes import Wakes
from perdure.errors import StoreUsageError

_TAKEN = "asyncpg.Connection, psycopg.AsyncConnection, psycopg.Connection (psycopg 3), and connections and sessions of SQLAlchemy on these"
_DRIVERS = frozenset({"postgresql+asyncpg", "postgresql+psycopg"})

_ENTER = "select pg_advisory_xact_lock_shared($1), current_setting('transaction_isolation') = 'read committed'"
_LOCK_STORE = "select generation from perdure_store for share"
_LOCK = "select 1 from perdure_instances where instance_id = $1 for update"
_NOTIFY = "select pg_notify($1, $2)"

# https://www.postgresql.org/docs/current/errcodes-appendix.html
_NO_TRANSACTION, _FAILED_TRANSACTION, _UNIQUE_VIOLATION = "25P01", "25P02", "23505"
_ELSEWHERE = frozenset({"42P01", "3F000", "42703"})  # no such table, schema, column


class PostgresVisit:
    """`Visit` of a connection."""

    def __init__(self, loan: Loan, options: PostgresOptions, origin: Origin) -> None:
        self._run = loan.run
        self._options = options
        self._origin = origin
        self._session = LentSession(loan, options)

    def enter(self) -> None:
        try:
            self._run("savepoint perdure")
        except Exception as problem:
            state = _state(problem)
            if state == _NO_TRANSACTION:
                raise StoreUsageError(
                    "using() got a connection in autocommit mode, without an open transaction: begin one first, as in "
                    "`async with connection.transaction():`."
                ) from problem
            if state == _FAILED_TRANSACTION:
                raise StoreUsageError(
                    "using() got a connection whose transaction has failed: an earlier statement was refused, and nothing of it can "
                    "be committed. Roll it back."
                ) from problem
            raise

    def check(self) -> None:
        _, sees_all = self._run(_ENTER, (seal_lock(self._options.schema),)).fetchone()
        check_origin(
            self._session,
            self._origin,
            lambda problem: _state(problem) in _ELSEWHERE,
            ", and find the same schema (the schema of the store's options, or else the first one of the search path)",
        )
        if not sees_all:
            self._check_snapshot()

    def _check_snapshot(self) -> None:
        """Raises a serialization failure if the store may have been sealed since the transaction's snapshot."""
        self._run("savepoint perdure_snapshot")
        self._session.fetch_direct(_LOCK_STORE, ())
        # Others need that row; the advisory lock is enough from here on.
        self._run("rollback to savepoint perdure_snapshot")

    def tables(self) -> PostgresTables:
        tables = PostgresTables(self._session)
        tables.blob_threshold = self._options.blob_threshold
        return tables

    def lock(self, instance_id: str) -> None:
        self._session.fetch_direct(_LOCK, (instance_id,))

    def tell(self, wakes: Wakes) -> None:
        if self._options.has_notices:
            told = Outgoing(b"")  # of no process: this one listens, too
            told.add(wakes, ())
            notice = told.take()
            if notice is not None:
                self._run(_NOTIFY, (channel(self._options), b85encode(notice).decode()))

    def is_conflict(self, problem: BaseException) -> bool:
        return isinstance(problem, Conflict) or _state(problem) == _UNIQUE_VIOLATION


class LentSession:
    """What the tables use of a session; the transaction is the user's to begin and to end."""

    dialect = POSTGRES
    is_in_transaction = True
    is_pooled = False

    def __init__(self, loan: Loan, options: PostgresOptions) -> None:
        self._run = loan.run
        self.schema = options.schema

    def execute(self, template: str, parameters: Sequence[Any] = (), /) -> Rows:
        return self._run(_text_of(template, self.schema), parameters)

    def fetch_direct(self, text: str, parameters: Sequence[Any]) -> list[Any]:
        # A list is an array to every driver; a tuple is a row to psycopg.
        values = [list(value) if isinstance(value, tuple) else value for value in parameters]
        return self._run(qualified(text, self.schema), values).fetchall()

    def execute_alone(self, template: str, parameters: Sequence[Any] = (), /) -> Rows:
        return self.execute(template, parameters)

    def has_table(self, name: str) -> bool:
        found = self._run("select to_regclass($1) is not null", (qualified(name, self.schema),))
        return bool(found.fetchone()[0])

    def snapshot(self) -> AbstractContextManager[object]:
        raise NotImplementedError  # nobody who writes asks for one

    def begin(self) -> None:
        """It is open."""

    def commit(self) -> None:
        """The user does."""


@lru_cache(512)
def _text_of(template: str, schema: str | None) -> str:
    return qualified(placed(POSTGRES.fill(template)), schema)


def lender_of(connection: Any) -> Lender:
    """Raises StoreUsageError."""
    if isinstance(connection, asyncpg.Connection):
        return OnLoop(connection, lambda text, parameters: _run_asyncpg(connection, text, parameters))
    psycopg: Any = sys.modules.get("psycopg")
    if psycopg is not None and isinstance(connection, psycopg.AsyncConnection):
        return OnLoop(connection, lambda text, parameters: _run_psycopg_async(psycopg, connection, text, parameters))
    if psycopg is not None and isinstance(connection, psycopg.Connection):
        return Blocking(connection, lambda text, parameters=(): _run_psycopg(psycopg, connection, text, parameters))
    lender = sqlalchemy_lender(connection, _DRIVERS)
    if lender is None:
        raise unsuitable(connection, _TAKEN)
    return lender


async def _run_asyncpg(connection: Any, text: str, parameters: Sequence[Any]) -> Rows:
    if connection.is_closed():
        raise _closed()
    found = await connection.fetch(text, *parameters)
    return Rows(found, len(found))


async def _run_psycopg_async(psycopg: Any, connection: Any, text: str, parameters: Sequence[Any]) -> Rows:
    if connection.closed:
        raise _closed()
    async with psycopg.AsyncRawCursor(connection, row_factory=psycopg.rows.tuple_row) as cursor:
        await cursor.execute(text, parameters)
        return Rows(await cursor.fetchall() if cursor.description else (), cursor.rowcount)


def _run_psycopg(psycopg: Any, connection: Any, text: str, parameters: Sequence[Any]) -> Rows:
    if connection.closed:
        raise _closed()
    with psycopg.RawCursor(connection, row_factory=psycopg.rows.tuple_row) as cursor:
        cursor.execute(text, parameters)
        return Rows(cursor.fetchall() if cursor.description else (), cursor.rowcount)


def _closed() -> StoreUsageError:
    return StoreUsageError("using() got a connection that is closed: pass an open one.")


def _state(problem: BaseException) -> str | None:
    """The SQLSTATE, from whichever driver; SQLAlchemy has the driver's error in `orig`."""
    state: str | None = getattr(getattr(problem, "orig", None) or problem, "sqlstate", None)
    return state
