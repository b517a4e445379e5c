"""Connections that come back: opened again when they are needed, with growing pauses while that fails, never in a busy loop."""

from __future__ import annotations

import logging
import time
from typing import Protocol

from perdure.clock import new_dice
from perdure.errors import StoreUnavailable

_log = logging.getLogger("perdure.store")

_FIRST_SECONDS = 0.05
_LONGEST_SECONDS = 2.0


class Opens(Protocol):
    """A connection, as far as this is concerned."""

    def open(self) -> None: ...

    def close(self) -> None: ...


class Reconnecting:
    """Says once that the store is gone, and once that it is back. Belongs to one thread."""

    def __init__(self, connection: Opens, name: str) -> None:
        self._connection = connection
        self._name = name
        self._is_open = False
        self._failures = 0
        self._not_before = 0.0
        self._dice = new_dice()
        self._said: BaseException | None = None

    def open(self) -> None:
        """For the first time. Raises whatever the connection does."""
        self._connection.open()
        self._is_open = True

    def ensure(self) -> bool:
        """Be open; whether it wasn't. Raises StoreUnavailable, or whatever the connection does."""
        if self._is_open:
            return False
        now = time.monotonic()
        if now < self._not_before:
            raise StoreUnavailable(
                f"{self._name} can't be reached; nothing was written. It is tried again. {self._said}"
            )
        try:
            self._connection.open()
        except BaseException as problem:
            self.lost(problem)
            raise
        if self._said is not None:
            _log.warning("%s can be reached again, after %d failed attempts", self._name, self._failures)
        self._is_open, self._failures, self._said = True, 0, None
        return True

    def lost(self, problem: BaseException) -> None:
        """The connection is of no use any more."""
        if self._said is None:
            _log.warning(
                "%s can't be reached, trying again until it can: %s: %s", self._name, type(problem).__name__, problem
            )
        self._said = problem
        if not self._is_open:
            self._failures += 1
        self._is_open = False
        longest = min(_FIRST_SECONDS * 2.0 ** min(self._failures, 10), _LONGEST_SECONDS)
        self._not_before = time.monotonic() + longest * self._dice.uniform(0.5, 1.0)
        self._connection.close()
