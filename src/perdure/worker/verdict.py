"""How the end of a user's function becomes the end of an attempt: pure decisions.

An attempt may have been told to stop for several reasons. What it did then says how it ended; if it only let the
CancelledError through, the strongest reason does, in the order of `Cause`. A return is a result whatever was asked, as with
`asyncio.timeout`; only a lost lease makes it worthless.
"""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Callable
from collections.abc import Set as AbstractSet

import msgspec

from perdure.clock import Micros
from perdure.model.failing import after_failure, ran_out
from perdure.model.failure import Failure
from perdure.model.task import ActivityTask
from perdure.model.transition import (
    ActivityFailure,
    ActivityOpened,
    ActivityReleased,
    ActivityResult,
    ActivityRetry,
)
from perdure.serialization.failures import to_failure
from perdure.serialization.payloads import Payloads

End = ActivityResult | ActivityFailure | ActivityRetry | ActivityReleased | ActivityOpened


class Cause(enum.IntEnum):
    """Why an attempt was told to stop, the strongest first."""

    LEASE_LOST = 1
    """Another worker may have it: nothing of it is recorded."""
    REQUESTED = 2
    """The workflow's cancel."""
    TOTAL_TIMEOUT = 3
    TIMEOUT = 4
    HEARTBEAT_TIMEOUT = 5
    SHUTDOWN = 6
    """The worker ends."""


_TIMEOUTS = {
    Cause.TOTAL_TIMEOUT: "total_timeout",
    Cause.TIMEOUT: "timeout",
    Cause.HEARTBEAT_TIMEOUT: "heartbeat_timeout",
}


class Returned(msgspec.Struct, frozen=True):
    """The function returned."""

    result: bytes


class Raised(msgspec.Struct, frozen=True):
    """The function raised, or its arguments or result are no payloads (`is_permanent`)."""

    error: BaseException
    is_permanent: bool = False


class LeftOpen(msgspec.Struct, frozen=True):
    """The function left its end to somebody outside."""


class GivenUp(msgspec.Struct, frozen=True):
    """It was told to stop and didn't; it runs on, and nobody waits for it any more."""


HowItEnded = Returned | Raised | LeftOpen | GivenUp


def decide(
    task: ActivityTask,
    how: HowItEnded,
    causes: AbstractSet[Cause],
    *,
    payloads: Payloads,
    chance: Callable[[], float],
    elapsed: Callable[[], Micros],
) -> End | None:
    """What is recorded of the attempt; None is nothing. `elapsed` is the time since the task was claimed."""
    if Cause.LEASE_LOST in causes:
        return None
    if isinstance(how, Returned):
        return ActivityResult(how.result)
    if isinstance(how, LeftOpen):
        return ActivityOpened(elapsed())
    strongest = min(causes, default=None)
    if isinstance(how, GivenUp) or (isinstance(how.error, asyncio.CancelledError) and strongest is not None):
        return _stopped(task, how, strongest, causes, payloads=payloads, chance=chance, elapsed=elapsed)
    failure = to_failure(how.error, payloads)
    if how.is_permanent:
        failure = msgspec.structs.replace(failure, permanent=True)
    return _failed(task, failure, causes, chance=chance, elapsed=elapsed)


def _stopped(
    task: ActivityTask,
    how: GivenUp | Raised,
    strongest: Cause | None,
    causes: AbstractSet[Cause],
    *,
    payloads: Payloads,
    chance: Callable[[], float],
    elapsed: Callable[[], Micros],
) -> End:
    """It ended, or was given up, because it was told to stop."""
    if strongest is Cause.REQUESTED and isinstance(how, Raised):
        return ActivityFailure(to_failure(how.error, payloads), cancelled=True)
    timeout = min((cause for cause in causes if cause in _TIMEOUTS), default=None)
    if timeout is None:
        return ActivityReleased()
    failure = ran_out(task.name, task.attempt, _TIMEOUTS[timeout])
    return _failed(task, failure, causes, chance=chance, elapsed=elapsed)


def _failed(
    task: ActivityTask,
    failure: Failure,
    causes: AbstractSet[Cause],
    *,
    chance: Callable[[], float],
    elapsed: Callable[[], Micros],
) -> End:
    """A failure, and whether there is a next attempt: not of what is cancelled, nor past its total_timeout."""
    if Cause.REQUESTED in causes or Cause.TOTAL_TIMEOUT in causes:
        return ActivityFailure(failure)
    return after_failure(
        task.name,
        task.attempt,
        failure,
        retry=task.retry,
        now=task.now + elapsed(),
        total_deadline_at=task.total_deadline_at,
        chance=chance,
    )
