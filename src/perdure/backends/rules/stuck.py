"""How an instance becomes stuck."""

from __future__ import annotations

from perdure.backends.rows import RESHAPED, InstanceRow
from perdure.backends.rules.closing import administer
from perdure.backends.unit.unit import Unit
from perdure.clock import Micros
from perdure.model.event import MarkedStuck
from perdure.model.transition import MarkStuck


def mark_stuck(unit: Unit, transition: MarkStuck) -> bool:
    row = unit.instance(transition.instance_key)
    if row is None or row.token is None or row.token != transition.token:
        return False
    stick(unit, row, transition.reason, None if transition.retry_in is None else unit.now + transition.retry_in)
    return True


def stick(unit: Unit, row: InstanceRow, reason: str, retry_at: Micros | None) -> None:
    """Mark an instance stuck until `retry_at`, or resume."""
    administer(unit, row, MarkedStuck(at=unit.now, reason=reason))
    row.stuck_reason = reason
    row.stuck_attempts += 1
    row.wake_at = retry_at
    unit.change(row, RESHAPED)
