"""A connection that speaks templates (dialect.py), synchronously: it belongs to the thread that waits for it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from perdure.backends.sql.dialect import Dialect


class Found(Protocol):
    """What a statement gave."""

    @property
    def rowcount(self) -> int: ...

    def fetchone(self) -> Any: ...

    def fetchall(self) -> list[Any]: ...


class Rows:
    """`Found`, of what was read already."""

    __slots__ = ("_rows", "rowcount")

    def __init__(self, rows: Sequence[Any], rowcount: int) -> None:
        self._rows = rows
        self.rowcount = rowcount

    def fetchone(self) -> Any:
        return tuple(self._rows[0]) if self._rows else None

    def fetchall(self) -> list[Any]:
        return [tuple(row) for row in self._rows]


class Session(Protocol):
    """Runs statements. Texts come as str, bytes as bytes, numbers as int."""

    @property
    def dialect(self) -> Dialect: ...

    def execute(self, template: str, parameters: Sequence[Any] = (), /) -> Found:
        """Run a statement, in the transaction that is open."""
        ...

    def has_table(self, name: str) -> bool: ...

    def snapshot(self) -> AbstractContextManager[object]:
        """What is read within it is of one moment."""
        ...


class WritingSession(Session, Protocol):
    """A session that may be in a transaction."""

    @property
    def is_in_transaction(self) -> bool: ...

    def execute_alone(self, template: str, parameters: Sequence[Any] = (), /) -> Found:
        """Run a statement in the transaction that is open, and else as one of its own."""
        ...

    def begin(self) -> None: ...

    def commit(self) -> None: ...
