"""The user's own transaction on a SQLite file.

Their connection writes under SQLite's own lock, which is enough: the OS lock (turn.py) only orders perdure's writers fairly. It must
not checkpoint beside our writer, though (wal.py): from its first use here on it leaves checkpoints to perdure.

While such a transaction is open, nobody else can write to the file. Others wait, for it will end; a write that the very code
inside awaits would never come, and is refused: `check_outside`.
"""

from __future__ import annotations

import contextvars
import sqlite3
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

from perdure.backends.joining.alchemy import sqlalchemy_lender
from perdure.backends.joining.joining import carry_out, unsuitable
from perdure.backends.joining.loan import Blocking, Lender, Loan, OnLoop
from perdure.backends.sql.session import Rows
from perdure.backends.sqlite.connection import Place
from perdure.backends.sqlite.session import SqliteSession
from perdure.backends.sqlite.tables import SqliteTables
from perdure.backends.wakes import Wakes
from perdure.clock import Clock
from perdure.errors import StoreUsageError
from perdure.model.transition import AppendEvent, CreateInstance, Transition

O = TypeVar("O")  # noqa: E741 - the outcome

_TAKEN = "sqlite3.Connection, aiosqlite.Connection, and connections and sessions of SQLAlchemy on these"
_DRIVERS = frozenset({"sqlite+pysqlite", "sqlite+aiosqlite"})

_begun: contextvars.ContextVar[tuple[tuple[Path, Loan], ...]] = contextvars.ContextVar(
    "perdure_sqlite_transactions", default=()
)
"""The files on which this code, or what awaits it, has transactions of its own, as far as it knows."""


def check_outside(place: Place) -> None:
    """Raises StoreUsageError if a write from here would wait for a transaction that this very code has open."""
    if _begun.get() and any(path == place.path for path, _ in _still_open()):
        raise StoreUsageError(
            f"This would wait for ever: the code that asks has a transaction open on {place.name}, by client.using(…), and SQLite "
            f"lets nobody else write until it ends. End that transaction first, or write through client.using(…), too."
        )


def _still_open() -> tuple[tuple[Path, Loan], ...]:
    begun = tuple((path, loan) for path, loan in _begun.get() if loan.is_open() and _is_in_transaction(loan.driver))
    _begun.set(begun)
    return begun


def _is_in_transaction(driver: Any) -> bool:
    try:
        return bool(driver.in_transaction)
    except (sqlite3.Error, ValueError):  # it was closed; aiosqlite says ValueError
        return False


class SqliteJoined:
    """`Joined` on a file."""

    def __init__(self, connection: object, place: Place, clock: Clock, blob_threshold: int) -> None:
        self._path = _path_of(place)
        self._blob_threshold = blob_threshold
        self._lender = _lender_of(connection)
        self._clock = clock

    async def commit(self, transition: Transition[O]) -> O:
        assert isinstance(transition, CreateInstance | AppendEvent)
        lent: list[Loan] = []

        def work(loan: Loan) -> object:
            lent.append(loan)
            return carry_out(SqliteVisit(loan, self._path, self._blob_threshold), loan, transition, self._clock.now())

        try:
            return cast("O", await self._lender.lend(work))
        finally:  # whatever came of it, the transaction may have the file
            for loan in lent:
                others = (each for each in _still_open() if each[1].driver is not loan.driver)
                _begun.set((*others, (self._path, loan)))


class SqliteVisit:
    """`Visit` of a connection."""

    def __init__(self, loan: Loan, path: Path, blob_threshold: int) -> None:
        self._loan = loan
        self._path = path
        self._blob_threshold = blob_threshold

    def enter(self) -> None:
        run, driver = self._loan.run, self._loan.driver
        try:
            databases = run("pragma database_list").fetchall()
        except (sqlite3.ProgrammingError, ValueError) as problem:  # aiosqlite says ValueError
            raise StoreUsageError(
                f"using() can't use this connection: {problem}. Pass one that is open, and was made in this thread."
            ) from problem
        file = databases[0][2]  # that of `main`
        if not file or Path(file).resolve() != self._path:
            raise StoreUsageError(
                f"using() got a connection to {file or 'a database in memory'}, but the store is {self._path}: a transaction "
                f"takes place in one file. Keep the store and your tables in the same one."
            )
        run("pragma wal_autocheckpoint = 0")
        if not driver.in_transaction:
            if not _begins_by_itself(driver):
                raise StoreUsageError(
                    "using() got a connection in autocommit mode, without an open transaction: begin one first (BEGIN IMMEDIATE)."
                )
            run("begin immediate")
        run("savepoint perdure")

    def check(self) -> None:
        """The file is the store's, and the store is open: its tables are there."""

    def tables(self) -> SqliteTables:
        tables = SqliteTables(SqliteSession(cast("sqlite3.Connection", _Statements(self._loan))))
        tables.blob_threshold = self._blob_threshold
        return tables

    def lock(self, instance_id: str) -> None:
        """A transaction that writes has the whole file."""

    def tell(self, wakes: Wakes) -> None:
        """Who waits looks for what others have committed."""

    def is_conflict(self, problem: BaseException) -> bool:
        """Nobody else can write between what is read here and what is written."""
        return False


class _Statements:
    """What the tables use of a connection."""

    def __init__(self, loan: Loan) -> None:
        self.execute = loan.run

    def executemany(self, text: str, rows: Sequence[Sequence[Any]]) -> None:
        for row in rows:
            self.execute(text, row)


def _path_of(place: Place) -> Path:
    if place.path is None:
        raise StoreUsageError(
            "A SQLite store in memory has one connection, its own: there is no transaction to write in with using(). Use a file."
        )
    return place.path


def _lender_of(connection: Any) -> Lender:
    if isinstance(connection, sqlite3.Connection):
        return Blocking(connection, lambda text, parameters=(): _run(connection, text, parameters))
    aiosqlite = sys.modules.get("aiosqlite")
    if aiosqlite is not None and isinstance(connection, aiosqlite.Connection):
        return OnLoop(connection, lambda text, parameters: _run_in_its_thread(connection, text, parameters))
    lender = sqlalchemy_lender(connection, _DRIVERS)
    if lender is None:
        raise unsuitable(connection, _TAKEN)
    return lender


def _run(connection: sqlite3.Connection, text: str, parameters: Sequence[Any]) -> Rows:
    cursor = connection.cursor()
    cursor.row_factory = None  # the connection's may make anything of rows
    cursor.execute(text, parameters)
    return Rows(cursor.fetchall(), cursor.rowcount)


async def _run_in_its_thread(connection: Any, text: str, parameters: Sequence[Any]) -> Rows:
    async with connection.cursor() as cursor:
        cursor.row_factory = None
        await cursor.execute(text, parameters)
        return Rows(await cursor.fetchall(), cursor.rowcount)


def _begins_by_itself(driver: Any) -> bool:
    """Whether a later commit() of the user's ends what is begun now."""
    connection = getattr(driver, "_conn", driver)  # aiosqlite's doesn't tell all
    return connection.isolation_level is not None and getattr(connection, "autocommit", None) is not True
