"""What is derived once from an activity's function and options, for all of its calls."""

from __future__ import annotations

from typing import Any

import msgspec

from perdure.activities.definition import Activity
from perdure.clock import Micros, duration_micros
from perdure.errors import ConfigurationError
from perdure.model.options import START_OPTIONS, Cancellation
from perdure.model.retry import StoredRetry, stored_retry
from perdure.serialization.calls import CallSchema
from perdure.serialization.payloads import Payloads


class PreparedActivity(msgspec.Struct, frozen=True, eq=False):
    """What each call of an activity needs: how its arguments are written, and its options as stores keep them."""

    payloads: Payloads
    """An activity may be in several Apps; this was made for the one with these."""
    schema: CallSchema
    queue: str | None
    priority: int | None
    cancellation: Cancellation
    retry: StoredRetry
    timeout: Micros | None
    total_timeout: Micros | None
    queue_timeout: Micros | None
    heartbeat_timeout: Micros | None


def prepared_for(activity: Activity[..., Any], payloads: Payloads) -> PreparedActivity:
    """Of an activity's function and options, for the App with these payloads."""
    options = activity.options
    misplaced = [name for name in START_OPTIONS if getattr(options, name) is not None]
    if misplaced:
        raise ConfigurationError(
            f"activity {activity.name} has {', '.join(misplaced)}: these are for client.start_activity; in a workflow it is a step"
        )
    return PreparedActivity(
        payloads=payloads,
        schema=payloads.call(activity.function, skip=activity.skip),
        queue=options.queue,
        priority=options.priority,
        cancellation=options.cancellation,
        retry=stored_retry(options.retry),
        timeout=_micros(options.timeout),
        total_timeout=_micros(options.total_timeout),
        queue_timeout=_micros(options.queue_timeout),
        heartbeat_timeout=_micros(options.heartbeat_timeout),
    )


def _micros(duration: Any) -> Micros | None:
    return None if duration is None else duration_micros(duration)
