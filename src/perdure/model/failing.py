"""What the failure of an attempt leads to: another attempt, or the end of the activity."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from perdure.clock import Micros
from perdure.model.failure import Failure, plain_failure
from perdure.model.retry import StoredRetry, next_delay
from perdure.model.transition import ActivityFailure, ActivityRetry


def ran_out(name: str, attempt: int, timeout: str) -> Failure:
    """The failure of an attempt that ran into a time-out."""
    return plain_failure("ActivityTimeout", f"activity {name} ran into its {timeout} in attempt {attempt}")


def after_failure(
    name: str,
    attempt: int,
    failure: Failure,
    *,
    retry: StoredRetry,
    now: Micros,
    total_deadline_at: Micros | None,
    chance: Callable[[], float],
) -> ActivityFailure | ActivityRetry:
    """As the retry policy says; there is no next attempt past the total_timeout. `chance` as in `next_delay`."""
    delay = next_delay(retry, attempt, failure, chance)
    if delay is None:
        return ActivityFailure(failure)
    if total_deadline_at is not None and now + delay >= total_deadline_at:
        text = f"activity {name} would run into its total_timeout before attempt {attempt + 1}"
        timeout = plain_failure("ActivityTimeout", text)
        return ActivityFailure(msgspec.structs.replace(timeout, cause=failure))
    return ActivityRetry(failure, delay)
