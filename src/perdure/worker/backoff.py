"""Trying again what a store couldn't do just now: never in a busy loop, never all workers at the same moment."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from perdure.clock import new_dice
from perdure.errors import SchemaMismatch, StoreCorrupt, StoreError, StoreSealed
from perdure.observability.logging import Log, text_of

T = TypeVar("T")

_FIRST_SECONDS = 0.1
_LONGEST_SECONDS = 2.0
_QUIET_SECONDS = 10.0

HOPELESS = (StoreSealed, SchemaMismatch)
"""No waiting helps: the worker ends with these."""


class Backoff:
    """Growing pauses with jitter. The first failure of a row is logged, and that it is over; the rest isn't.

    Rows that follow closely are told of for debugging alone: a part of a store may be away for long. A pause is as long as the row of failures so far, not longer for their number: hundreds may fail at one moment.
    """

    def __init__(self, logger: Log, what: str) -> None:
        self._logger = logger
        self._what = what
        self._failures = 0
        self._failing_since = 0.0
        self._warned_at = float("-inf")
        self._level = logging.WARNING
        self._dice = new_dice()

    def failed(self, problem: BaseException) -> float:
        """Note a failure; how many seconds to wait now."""
        now = asyncio.get_running_loop().time()
        if self._failures == 0:
            self._failing_since = now
            self._level = logging.WARNING if now - self._warned_at >= _QUIET_SECONDS else logging.DEBUG
            if self._level == logging.WARNING:
                self._warned_at = now
            said = text_of(problem)
            self._logger.log(self._level, "%s failed, trying again until it works: %s", self._what, said)
        self._failures += 1
        longest = min(max(now - self._failing_since, _FIRST_SECONDS), _LONGEST_SECONDS)
        return longest * self._dice.uniform(0.5, 1.0)

    def worked(self) -> None:
        """Note a success."""
        if self._failures:
            self._logger.log(self._level, "%s works again, after %d failures", self._what, self._failures)
            self._failures = 0


async def until_done(ask: Callable[[], Awaitable[T]], backoff: Backoff) -> T:
    """What `ask` gives, asked again while the store can't; errors that no waiting mends are raised."""
    while True:
        try:
            answer = await ask()
        except (*HOPELESS, StoreCorrupt):
            raise
        except StoreError as problem:
            await asyncio.sleep(backoff.failed(problem))
        else:
            backoff.worked()
            return answer
