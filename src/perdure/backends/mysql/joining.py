"""The user's own transaction in MySQL or MariaDB.

Their isolation is REPEATABLE READ, if they haven't chosen: what a plain select shows may be of long ago, and a locking select for what
isn't there locks the gap, and with it the ids of others. So what is there is looked for by a plain select, locked, and must have the
revision that was read; what isn't there is inserted, and a key that is there already tells the rest.

A share of the latch (writing.py) keeps the store from being sealed (moved) before the transaction has ended: the move would miss what
it writes.

Nobody can be told of the commit: workers find what it brings by looking, within a second.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import AbstractContextManager
from functools import cache, lru_cache
from typing import Any

import asyncmy
from asyncmy.cursors import Cursor

from perdure.backends.joining.alchemy import sqlalchemy_lender
from perdure.backends.joining.joining import unsuitable
from perdure.backends.joining.loan import Lender, Loan, OnLoop
from perdure.backends.joining.servers import check_origin
from perdure.backends.mysql.dialect import MYSQL
from perdure.backends.mysql.options import MysqlOptions
from perdure.backends.mysql.writing import SHARE_LATCH
from perdure.backends.network.link import Conflict
from perdure.backends.sql.dialect import insert
from perdure.backends.sql.network_tables import NetworkTables
from perdure.backends.sql.plan import KINDS, Kind, Plan
from perdure.backends.sql.schema import Origin
from perdure.backends.sql.session import Rows
from perdure.backends.wakes import Wakes
from perdure.errors import StoreUsageError

_TAKEN = "asyncmy's Connection, and connections and sessions of SQLAlchemy on asyncmy and PyMySQL"
_DRIVERS = frozenset(f"{name}+{driver}" for name in ("mysql", "mariadb") for driver in ("asyncmy", "pymysql"))

_SEAL = "select target from perdure_seal lock in share mode"
_IS_THERE = "select 1 from perdure_instances where instance_id = ?"
_STILL_AS_READ = "select 1 from {} where key = ? and revision = ? for update"

_TABLE = re.compile(r"\bperdure_")
_NO_SAVEPOINT, _DUPLICATE_KEY = 1305, 1062
_ELSEWHERE = frozenset({1046, 1109, 1142, 1146})  # no database selected, no permission, no such table


class MysqlVisit:
    """`Visit` of a connection."""

    def __init__(self, loan: Loan, options: MysqlOptions, origin: Origin) -> None:
        self._run = loan.run
        self._origin = origin
        self._session = LentSession(loan, options)
        self._blob_threshold = options.blob_threshold

    def enter(self) -> None:
        self._run("savepoint perdure")
        try:
            self._run("rollback to savepoint perdure")
        except Exception as problem:
            if _number(problem) != _NO_SAVEPOINT:
                raise
            raise StoreUsageError(
                "using() got a connection in autocommit mode, without an open transaction: begin one first, as in `await connection.begin()`."
            ) from problem

    def check(self) -> None:
        check_origin(
            self._session,
            self._origin,
            lambda problem: _number(problem) in _ELSEWHERE,
            " (and the store's prefix be that of the tables there)",
        )
        self._session.execute(SHARE_LATCH)

    def tables(self) -> LentTables:
        tables = LentTables(self._session)
        tables.blob_threshold = self._blob_threshold
        return tables

    def lock(self, instance_id: str) -> None:
        if self._session.execute(_IS_THERE, (instance_id,)).fetchone() is not None:
            self._session.execute(f"{_IS_THERE} for update", (instance_id,))

    def tell(self, wakes: Wakes) -> None:
        """Nothing is sent with a commit."""

    def is_conflict(self, problem: BaseException) -> bool:
        return isinstance(problem, Conflict) or _number(problem) == _DUPLICATE_KEY


class LentTables(NetworkTables):
    """Writes row by row: there are few, and each driver has its own ways with values."""

    def write_plan(self, plan: Plan, *, is_last: bool) -> None:
        for table, rows in (("perdure_instances", plan.instances), ("perdure_activities", plan.activities)):
            for read in rows:
                if self._execute(_STILL_AS_READ.format(table), read).fetchone() is None:
                    raise Conflict("a row has changed since it was read")
        for kind in KINDS:
            for row in plan.rows.get(kind, ()):
                self._execute(
                    _statement(kind), row if kind.what != "update" else (*row[kind.keys :], *row[: kind.keys])
                )

    def seal_target(self) -> str | None:
        """By a locking read: the transaction may show the store as it was before it was sealed."""
        found = self._execute(_SEAL).fetchone()
        return None if found is None else str(found[0])

    def keep_others_out(self) -> None:
        raise NotImplementedError  # nobody seals a store in a transaction of the user's


@cache
def _statement(kind: Kind) -> str:
    where = " and ".join(f"{key} = ?" for key in kind.columns[: kind.keys])
    if kind.what == "delete":
        return f"delete from {kind.table} where {where}"
    if kind.what == "update":
        changes = ", ".join(f"{column} = ?" for column in kind.columns[kind.keys :])
        return f"update {kind.table} set {changes}{kind.also} where {where}"
    made = insert(kind.table, kind.columns)
    return made if kind.what == "insert" else made.replace("insert", "replace", 1)


class LentSession:
    """What the tables use of a session; the transaction is the user's to begin and to end."""

    dialect = MYSQL
    is_in_transaction = True

    def __init__(self, loan: Loan, options: MysqlOptions) -> None:
        self._run = loan.run
        self._prefix = options.prefix

    def execute(self, template: str, parameters: Sequence[Any] = (), /) -> Rows:
        return self._run(
            _text_of(template, self._prefix),
            [bytes(value) if isinstance(value, bytearray) else value for value in parameters],
        )

    def execute_alone(self, template: str, parameters: Sequence[Any] = (), /) -> Rows:
        return self.execute(template, parameters)

    def has_table(self, name: str) -> bool:
        text = "select 1 from information_schema.tables where table_schema = database() and table_name = ?"
        return self.execute(text, (name.replace("perdure_", self._prefix, 1),)).fetchone() is not None

    def snapshot(self) -> AbstractContextManager[object]:
        raise NotImplementedError  # nobody who writes asks for one

    def begin(self) -> None:
        """It is open."""

    def commit(self) -> None:
        """The user does."""


@lru_cache(512)
def _text_of(template: str, prefix: str) -> str:
    return _TABLE.sub(prefix, MYSQL.fill(template)).replace("%", "%%").replace("?", "%s")


def lender_of(connection: Any) -> Lender:
    """Raises StoreUsageError."""
    if isinstance(connection, asyncmy.Connection):
        return OnLoop(connection, lambda text, parameters: _run_asyncmy(connection, text, parameters))
    lender = sqlalchemy_lender(connection, _DRIVERS)
    if lender is None:
        raise unsuitable(connection, _TAKEN)
    return lender


async def _run_asyncmy(connection: Any, text: str, parameters: Sequence[Any]) -> Rows:
    if not connection.connected:
        raise StoreUsageError("using() got a connection that is closed: pass an open one.")
    async with connection.cursor(Cursor) as cursor:
        await cursor.execute(text, tuple(parameters))
        return Rows(await cursor.fetchall() if cursor.description else (), cursor.rowcount)


def _number(problem: BaseException) -> int | None:
    """The server's number of an error, from whichever driver; SQLAlchemy has the driver's error in `orig`."""
    arguments = (getattr(problem, "orig", None) or problem).args
    return arguments[0] if arguments and isinstance(arguments[0], int) else None
