"""Why an instance is stuck, and what to do about it."""

from __future__ import annotations

from datetime import datetime

import msgspec

from perdure.model.instance import Instance
from perdure.observability import advice


class StuckAdvice(msgspec.Struct, frozen=True, kw_only=True):
    """A stuck instance's reason, and the way out. Nothing of it is lost meanwhile."""

    cause: str
    """In a few words, such as "a stored value can't be read"."""
    reason: str
    """What its worker or the store said, several lines for some."""
    attempts: int
    retry_at: datetime | None
    """When it is tried again by itself; None: it waits for `resume`."""
    what_to_do: str


def advice_of(instance: Instance) -> StuckAdvice | None:
    """None for one that isn't stuck."""
    stuck = instance.stuck
    if stuck is None:
        return None
    found = advice.advice_for(stuck, instance.instance_id)
    return StuckAdvice(
        cause=found.brief,
        reason=stuck.reason,
        attempts=stuck.attempts,
        retry_at=stuck.retry_at,
        what_to_do=found.text,
    )
