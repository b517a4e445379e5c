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
