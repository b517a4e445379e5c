"""Waiting for the end of an instance, for as long as the caller likes."""

from __future__ import annotations

import math
from collections.abc import Callable

from perdure.backends.protocol import Tasks
from perdure.client.repeating import PATIENCE_SECONDS, repeat
from perdure.clock import Clock, duration_micros
from perdure.model.instance import Outcome
from perdure.model.options import Duration

_LONGEST_SECONDS = 60.0
"""One question to the store. Each also finds out that the instance was removed, or the store moved."""

_CHECK_SECONDS = 1.0

_OUTAGE_SECONDS = 60.0
"""Who waits for days doesn't give up because a server is restarted."""


async def wait_for_outcome(
    store: Tasks,
    instance_id: str,
    timeout: Duration | None,  # noqa: ASYNC109 - it must not cancel what is under way in the store
    clock: Clock,
    *,
    check: Callable[[], None] | None = None,
) -> Outcome:
    """How the instance ended, across continue-as-new. Raises TimeoutError, InstanceNotFound.

    `check` is called every second meanwhile, and may raise.
    """
    longest = _LONGEST_SECONDS if check is None else _CHECK_SECONDS
    ends_at = None if timeout is None else clock.monotonic() + duration_micros(timeout) / 1_000_000

    def left() -> float:
        return math.inf if ends_at is None else max(0.0, ends_at - clock.monotonic())

    while True:
        if check is not None:
            check()
        outcome = await repeat(
            lambda: store.wait_for_outcome(instance_id, min(left(), longest)),
            patience_seconds=min(max(left(), PATIENCE_SECONDS), _OUTAGE_SECONDS),
        )
        if outcome is not None:
            return outcome
        if ends_at is not None and clock.monotonic() >= ends_at:
            raise TimeoutError(f"instance {instance_id!r} is still running after {timeout}; it goes on")
