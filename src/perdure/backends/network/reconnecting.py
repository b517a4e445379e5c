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
_QUIET_SECONDS = 10.0  # who comes and goes is warned of once in so long


def unreached(name: str, problem: BaseException | None) -> StoreUnavailable:
    """For what was never sent."""
    return StoreUnavailable(
        f"{name} can't be reached; nothing was written. It is tried again. {problem}", is_unwritten=True
    )


class Opens(Protocol):
    """A connection, as far as this is concerned."""

    def open(self) -> None: ...

    def close(self) -> None: ...


class Reconnecting:
    """Says once that the store is gone, and once that it is back. Belongs to one thread."""

    def __init__(self, connection: Opens, name: str) -> None:
        self._connection = connection
        self._name = name
        self.is_open = False
        self._failures = 0
        self._not_before = 0.0
        self._dice = new_dice()
        self.why_lost: BaseException | None = None
        self._level = logging.WARNING
        self._warned_at = float("-inf")

    def open(self) -> None:
        """For the first time. Raises whatever the connection does."""
        self._connection.open()
        self.is_open = True

    def ensure(self) -> bool:
        """Be open; whether it wasn't. Raises StoreUnavailable, or whatever the connection does."""
        if self.is_open:
            return False
        now = time.monotonic()
        if now < self._not_before:
            raise unreached(self._name, self.why_lost)
        try:
            self._connection.open()
        except BaseException as problem:
            self._failures += 1
            self._pause(problem)
            raise
        if self.why_lost is not None:
            _log.log(self._level, "%s can be reached again, after %d failed attempts", self._name, self._failures)
        self.is_open, self._failures, self.why_lost = True, 0, None
        return True

    def lost(self, problem: BaseException) -> None:
        """The connection is of no use any more. Said again while it is away, that changes nothing."""
        if self.is_open:
            self.is_open = False
            self._pause(problem)

    def _pause(self, problem: BaseException) -> None:
        now, is_news = time.monotonic(), self.why_lost is None
        if is_news:
            self._level = logging.INFO
        if self._level == logging.INFO and now - self._warned_at > _QUIET_SECONDS:
            self._level, self._warned_at, is_news = logging.WARNING, now, True
        if is_news:
            kind = type(problem).__name__
            _log.log(self._level, "%s can't be reached, trying again until it can: %s: %s", self._name, kind, problem)
        self.why_lost = problem
        longest = min(_FIRST_SECONDS * 2.0 ** min(self._failures, 10), _LONGEST_SECONDS)
        self._not_before = now + longest * self._dice.uniform(0.5, 1.0)
        self._connection.close()
