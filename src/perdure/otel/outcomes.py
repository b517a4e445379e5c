"""How attempts ended, as spans and metrics say it."""

from __future__ import annotations

from perdure.model.failure import Failure
from perdure.model.transition import (
    ActivityFailure,
    ActivityOpened,
    ActivityReleased,
    ActivityResult,
    ActivityRetry,
    AttemptEnd,
    AttemptFailed,
)


def outcome_of(end: AttemptEnd | None) -> str:
    """In a word, for spans and metrics."""
    match end:
        case ActivityResult():
            return "completed"
        case ActivityRetry():
            return "retried"
        case ActivityFailure(cancelled=True):
            return "cancelled"
        case ActivityFailure() | AttemptFailed():
            return "failed"
        case ActivityOpened():
            return "left_open"
        case ActivityReleased():
            return "given_back"
        case None:
            return "lost"


def failure_of(end: AttemptEnd | None) -> Failure | None:
    if isinstance(end, ActivityRetry) or (isinstance(end, ActivityFailure) and not end.cancelled):
        return end.failure
    return None
