"""How an action ended, as data, whoever asked for it."""

from __future__ import annotations

import enum

import msgspec

from perdure.errors import (
    ConfigurationError,
    InstanceAlreadyExists,
    InstanceNotFinished,
    InstanceNotFound,
    InstanceNotRunning,
    InvalidName,
    NonDeterminismError,
    PayloadError,
    PerdureError,
    ScheduleNotFound,
    StoreError,
    StoreUnavailable,
    StoreUsageError,
)


class Verdict(enum.StrEnum):
    """What became of what was asked."""

    DONE = "done"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    CONFLICT = "conflict"
    """As things stand it can't be done."""
    INVALID = "invalid"
    """What was asked makes no sense."""
    UNAVAILABLE = "unavailable"
    """The store can't be reached, or takes nothing now."""


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """How an action ended: what happened or why not, and what to do next."""

    verdict: Verdict
    message: str
    advice: str = ""
    instance_id: str | None = None
    """The instance that it started, if it started one."""

    @property
    def is_done(self) -> bool:
        return self.verdict is Verdict.DONE


def done(message: str, *, instance_id: str | None = None) -> Result:
    return Result(verdict=Verdict.DONE, message=message, instance_id=instance_id)


def conflict(message: str, advice: str) -> Result:
    return Result(verdict=Verdict.CONFLICT, message=message, advice=advice)


def invalid(message: str, advice: str = "") -> Result:
    return Result(verdict=Verdict.INVALID, message=message, advice=advice)


_BY_ERROR: tuple[tuple[type[PerdureError], Verdict, str], ...] = (
    (ScheduleNotFound, Verdict.NOT_FOUND, "Look it up in the list of schedules."),
    (InstanceNotFound, Verdict.NOT_FOUND, "Look it up in the list of instances: it may have been removed."),
    (InstanceNotRunning, Verdict.CONFLICT, "Look at how it ended. One that failed can be rewound."),
    (InstanceNotFinished, Verdict.CONFLICT, "Cancel or terminate it first, or wait for its end."),
    (InstanceAlreadyExists, Verdict.CONFLICT, "Somebody else was faster: look at it again."),
    (NonDeterminismError, Verdict.CONFLICT, "Today's code doesn't repeat its history: `perdure replay` says where."),
    (StoreUsageError, Verdict.CONFLICT, ""),
    (StoreUnavailable, Verdict.UNAVAILABLE, "Whether it was done isn't known: look, then ask again."),
    (StoreError, Verdict.UNAVAILABLE, "Nothing was done."),
    (ConfigurationError, Verdict.INVALID, ""),
    (InvalidName, Verdict.INVALID, ""),
    (PayloadError, Verdict.INVALID, ""),
)


def result_of(error: PerdureError) -> Result:
    """What an error of perdure's says to who asked."""
    for kind, verdict, advice in _BY_ERROR:
        if isinstance(error, kind):
            return Result(verdict=verdict, message=str(error), advice=advice)
    return Result(verdict=Verdict.CONFLICT, message=str(error))
