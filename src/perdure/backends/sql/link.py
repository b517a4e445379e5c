"""The connections of SQL stores behind a network: what those that write and those that read have in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Protocol

from perdure.backends.looking import Looking
from perdure.backends.sql import schema
from perdure.backends.sql.driven import DrivenSession
from perdure.backends.sql.looking import SqlLooking
from perdure.backends.sql.network_tables import NetworkTables
from perdure.backends.unit.changes import Changes
from perdure.clock import Micros
from perdure.errors import StoreReadOnly, StoreUnavailable


class Faults(Protocol):
    """A driver's errors, and what to do about each."""

    def is_lost(self, problem: BaseException) -> bool: ...

    def is_conflict(self, problem: BaseException) -> bool: ...

    def is_locked(self, problem: BaseException) -> bool: ...

    def translated(self, problem: BaseException, place: str) -> BaseException: ...


class SqlConnection:
    """A session whose errors are understood."""

    def __init__(self, session: DrivenSession, faults: Faults, place: str) -> None:
        """`place` names the store in what is said to people."""
        self._session = session
        self._faults = faults
        self._place = place
        self._was_open = False

    def open(self) -> None:
        self._session.open()
        self._was_open = True

    def close(self) -> None:
        self._session.close()

    def is_lost(self, problem: BaseException) -> bool:
        return self._faults.is_lost(problem)

    def translated(self, problem: BaseException) -> BaseException:
        error = self._faults.translated(problem, self._place)
        if not self._was_open or error is problem or not isinstance(error, StoreReadOnly):
            return error
        failing_over = StoreUnavailable(
            f"{error} Before it could be: a fail-over may be under way; nothing was written.", is_unwritten=True
        )
        failing_over.__cause__ = problem
        return failing_over


class SqlLooker(SqlConnection):
    """The connection that reads."""

    @property
    def looking(self) -> Looking:
        return SqlLooking(self._session)


class SqlLink(SqlConnection):
    """The connection that writes."""

    now_text: str
    """Asks for the server's time."""
    why_locked = (
        "another program keeps rows of this instance locked, in an open transaction; nothing was written. End that "
        "transaction, then repeat."
    )
    office: None = None
    """There is one partition."""

    def __init__(
        self, session: DrivenSession, tables: NetworkTables, faults: Faults, place: str, *, may_migrate: bool
    ) -> None:
        super().__init__(session, faults, place)
        self.tables = tables
        self._may_migrate = may_migrate
        self._is_prepared = False

    @abstractmethod
    def judge(self) -> None:
        """Refuse a server that can't be used, warn of one that may lose what it acknowledges. Raises StoreError."""

    @abstractmethod
    def migrate(self) -> None:
        """Bring the schema up to date, one process at a time."""

    def open(self) -> None:
        super().open()
        self.tables.begin_anew()
        if not self._is_prepared:
            self.judge()
            if not schema.is_current(self._session, self._place):
                if not self._may_migrate:
                    raise schema.outdated(self._session, self._place)
                self.migrate()
            self._is_prepared = True

    def commit(self, changes: Changes) -> None:
        self.tables.write_last(changes)

    def roll_back(self) -> None:
        self._session.roll_back()
        self.tables.roll_back()

    def locked(self, ids: Sequence[str], instance_keys: Sequence[int], activity_keys: Sequence[int]) -> set[str | int]:
        try:
            return self.tables.locked(ids, instance_keys, activity_keys)
        finally:
            self._session.roll_back()

    def now(self) -> Micros:
        at: Micros = self._session.execute(self.now_text).fetchone()[0]
        return at

    def is_conflict(self, problem: BaseException) -> bool:
        return self._faults.is_conflict(problem)

    def is_locked(self, problem: BaseException) -> bool:
        return self._faults.is_locked(problem)
