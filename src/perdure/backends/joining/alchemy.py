"""SQLAlchemy's connections and sessions, sync and async, on any of its drivers that a store knows.

SQLAlchemy is never imported here: who has a connection of its has imported it. Its async connections run synchronous code in a
greenlet, on the event loop. Statements go through it, so that it begins transactions, logs and wraps errors as always.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Collection, Sequence
from typing import Any, TypeVar

from perdure.backends.joining.loan import Lender, Loan
from perdure.backends.sql.session import Rows
from perdure.errors import StoreUsageError

T = TypeVar("T")

_NUMBERED = re.compile(r"\$\d+")


def sqlalchemy_lender(given: Any, drivers: Collection[str]) -> Lender | None:
    """Lends what is SQLAlchemy's; `drivers` are what the store can use. None for anything else."""
    if _is_one(given, "sqlalchemy.ext.asyncio", "AsyncSession", "AsyncConnection", "async_scoped_session"):
        return _Async(given, drivers)
    if _is_one(given, "sqlalchemy.orm", "Session", "scoped_session") or _is_one(given, "sqlalchemy", "Connection"):
        return _Sync(given, drivers)
    return None


def _is_one(given: object, module: str, *names: str) -> bool:
    loaded = sys.modules.get(module)
    return loaded is not None and isinstance(given, tuple(getattr(loaded, name) for name in names))


class _Sync:
    def __init__(self, given: Any, drivers: Collection[str]) -> None:
        self._given = given
        self._drivers = drivers

    async def lend(self, work: Callable[[Loan], T]) -> T:
        return work(_loan(self._given, self._drivers))


class _Async(_Sync):
    async def lend(self, work: Callable[[Loan], T]) -> T:
        lent: T = await self._given.run_sync(lambda given: work(_loan(given, self._drivers)))
        return lent


def _loan(given: Any, drivers: Collection[str]) -> Loan:
    connection = given if hasattr(given, "exec_driver_sql") else given.connection()
    if connection.closed:
        raise StoreUsageError("using() got a connection of SQLAlchemy's that is closed: pass an open one.")
    dialect = connection.dialect
    driver = f"{dialect.name}+{dialect.driver}"
    if driver not in drivers:
        raise StoreUsageError(
            f"using() got a connection of SQLAlchemy's to {driver}: this store takes {', '.join(sorted(drivers))}."
        )
    has_numbers = dialect.paramstyle == "numeric_dollar"

    def run(text: str, parameters: Sequence[Any] = ()) -> Rows:
        found = connection.exec_driver_sql(text if has_numbers else _NUMBERED.sub("%s", text), tuple(parameters))
        return Rows(found.fetchall() if found.returns_rows else (), found.rowcount)

    if not connection.in_transaction():
        connection.begin()
    transaction = connection.get_transaction()
    return Loan(connection.connection.driver_connection, run, lambda: bool(transaction.is_active))
