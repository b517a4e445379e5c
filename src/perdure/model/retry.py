"""When a failed activity is tried again."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import msgspec

from perdure.clock import Micros, duration_micros
from perdure.errors import ConfigurationError
from perdure.model.failure import Failure


class RetryPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """How often and how fast a failed activity or sub-workflow is tried again.

    Attempt n + 1 begins `initial_interval * backoff_coefficient ** (n - 1)` after attempt n failed, at most
    `max_interval`, lengthened or shortened at random by up to the share `jitter`; both are timedeltas, or seconds.
    `max_attempts` counts the first attempt; None is without end. `non_retryable` holds exception classes, or their
    qualified names, whose instances (subclasses included, anywhere in the cause chain) end it at once, as
    `PermanentError` always does.
    """

    max_attempts: int | None = 3
    initial_interval: timedelta | float = timedelta(seconds=1)
    backoff_coefficient: float = 2.0
    max_interval: timedelta | float = timedelta(minutes=1)
    jitter: float = 0.1
    non_retryable: tuple[type[BaseException] | str, ...] = ()

    def __post_init__(self) -> None:
        if self.max_attempts is not None and self.max_attempts < 1:
            raise ConfigurationError(
                f"max_attempts is {self.max_attempts}: use 1 for a single attempt, None for no end"
            )
        if min(duration_micros(self.initial_interval), duration_micros(self.max_interval)) < 0:
            raise ConfigurationError("initial_interval and max_interval can't be negative")
        if self.backoff_coefficient < 1:
            raise ConfigurationError(f"backoff_coefficient is {self.backoff_coefficient}: it must be at least 1")
        if not 0 <= self.jitter <= 1:
            raise ConfigurationError(f"jitter is {self.jitter}: it is a share from 0 to 1")


NO_RETRY = RetryPolicy(max_attempts=1)
"""One attempt."""


class StoredRetry(msgspec.Struct, frozen=True, array_like=True):
    """A RetryPolicy as stores keep it: plain numbers and names."""

    max_attempts: int | None
    initial: Micros
    coefficient: float
    longest: Micros
    jitter: float
    non_retryable: tuple[str, ...] = ()


def stored_retry(policy: RetryPolicy) -> StoredRetry:
    """The policy as plain data."""
    names = tuple(
        kind if isinstance(kind, str) else f"{kind.__module__}.{kind.__qualname__}" for kind in policy.non_retryable
    )
    return StoredRetry(
        max_attempts=policy.max_attempts,
        initial=duration_micros(policy.initial_interval),
        coefficient=policy.backoff_coefficient,
        longest=duration_micros(policy.max_interval),
        jitter=policy.jitter,
        non_retryable=names,
    )


def next_delay(retry: StoredRetry, attempt: int, failure: Failure, chance: Callable[[], float]) -> Micros | None:
    """How long to wait after the failed `attempt` (from 1), or None if it was the last one.

    `chance` gives a number in [0, 1), for the jitter.
    """
    if retry.max_attempts is not None and attempt >= retry.max_attempts:
        return None
    if not _may_retry(retry, failure):
        return None
    exponent = min(attempt - 1, 64)  # beyond that every delay has reached any sensible max_interval
    delay = min(retry.initial * retry.coefficient**exponent, retry.longest)
    return round(delay * (1 + retry.jitter * (2 * chance() - 1)))


def _may_retry(retry: StoredRetry, failure: Failure) -> bool:
    link: Failure | None = failure
    while link is not None:
        if link.permanent or any(link.is_type(name) for name in retry.non_retryable):
            return False
        if any(not _may_retry(retry, child) for child in link.children):
            return False
        link = link.cause
    return True
