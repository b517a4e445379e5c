"""A connection of an asynchronous driver, used synchronously from the thread that it belongs to."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Coroutine, Generator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import msgspec

from perdure.backends.sql.dialect import Dialect
from perdure.backends.sql.loops import Loop, OwnLoop
from perdure.backends.sql.session import Rows

T = TypeVar("T")


class Statement(msgspec.Struct, frozen=True):
    """A template as the driver takes it."""

    text: str
    gives_rows: bool
    is_plain: bool
    """It neither locks nor writes."""


class DrivenSession(ABC):
    """Opens a transaction by itself, before the first statement that locks or writes; `commit` ends it."""

    dialect: Dialect
    begin_text = "begin"
    begin_snapshot: str
    """What begins a transaction that reads of one moment."""

    def __init__(self, timeout_seconds: float) -> None:
        """A statement that takes longer costs the connection."""
        self._timeout_seconds = timeout_seconds
        self._loop: Loop | None = None
        self._statements: dict[str, Statement] = {}
        self.is_in_transaction = False

    # --- what each driver has of its own

    def loop(self) -> Loop:
        """A new one, for a connection."""
        return OwnLoop()

    @abstractmethod
    async def connect(self) -> None:
        """Raises the driver's errors, or OSError."""

    @abstractmethod
    async def disconnect(self) -> None:
        """Say good-bye, if there is a connection. May raise anything."""

    @abstractmethod
    def abort(self) -> None:
        """Let go of the connection, if there is one, without a word. Raises nothing."""

    @abstractmethod
    def text_of(self, template: str) -> str:
        """The template as the driver takes it."""

    @abstractmethod
    async def ask(self, statement: Statement, parameters: Sequence[Any]) -> Rows: ...

    @abstractmethod
    async def control(self, text: str) -> None:
        """Begin or end a transaction."""

    # --- the connection

    def open(self) -> None:
        """Raises the driver's errors, or OSError."""
        self.close()
        self._loop = self.loop()
        try:
            self._loop.run(self.connect())  # it has time-outs of its own
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """However it is. Raises nothing."""
        loop = self._loop
        if loop is None:
            return
        try:
            if self.is_in_transaction:
                loop.call(self.abort)
            loop.run(self.disconnect())
        except (Exception, asyncio.CancelledError):
            loop.call(self.abort)
        finally:
            loop.close()
            self._loop = None
            self.is_in_transaction = False

    def run(self, doing: Coroutine[Any, Any, T]) -> T:
        if self._loop is None:  # it was lost with what the same batch did before
            doing.close()
            raise ConnectionError("the connection isn't open")
        return self._loop.run(doing, self._timeout_seconds)

    # --- statements

    def execute(self, template: str, parameters: Sequence[Any] = (), /) -> Rows:
        if not self.prepared(template).is_plain:
            self.begin()
        return self.execute_alone(template, parameters)

    def execute_alone(self, template: str, parameters: Sequence[Any] = (), /) -> Rows:
        """Run a statement in the transaction that is open, and else as one of its own."""
        return self.run(self.ask(self.prepared(template), parameters))

    def prepared(self, template: str) -> Statement:
        statement = self._statements.get(template)
        if statement is None:
            text = self.text_of(template)
            gives_rows = text.lstrip().lower().startswith(("select", "with"))
            statement = Statement(text, gives_rows, gives_rows and "for update" not in text)
            self._statements[template] = statement
        return statement

    def begin(self) -> None:
        if not self.is_in_transaction:
            self.run(self.control(self.begin_text))
            self.is_in_transaction = True

    def commit(self) -> None:
        if self.is_in_transaction:
            self.is_in_transaction = False
            self.run(self.control("commit"))

    def roll_back(self) -> None:
        """Raises nothing: a connection that can't do it is found to be lost by the next statement."""
        if self.is_in_transaction:
            self.is_in_transaction = False
            try:
                self.run(self.control("rollback"))
            except Exception:
                if self._loop is not None:
                    self._loop.call(self.abort)

    @contextmanager
    def snapshot(self) -> Generator[None]:
        """What is read within it is of one moment."""
        self.run(self.control(self.begin_snapshot))
        self.is_in_transaction = True
        try:
            yield
        finally:
            self.roll_back()

    @abstractmethod
    def has_table(self, name: str) -> bool: ...
