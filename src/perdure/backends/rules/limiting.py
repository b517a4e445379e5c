"""Limits of queues, which each partition of a store has a copy of."""

from __future__ import annotations

from perdure.backends.unit.unit import Unit
from perdure.model.inspection import SettingKind


def limit(unit: Unit, queue: str, *, is_limited: bool) -> None:
    """The queue has other limits from now on, or none any longer."""
    unit.tables.limit_activities(queue, is_limited=is_limited)
    unit.limits_changed()
    unit.wakes.activity_due(queue, unit.now)


def follow_first(unit: Unit) -> None:
    """Whoever set limits may have been broken off before all partitions had them: the first one's hold."""
    if unit.office is None:
        return
    for queue, value in unit.office.limits_that_differ(unit.now).items():
        unit.flush()
        if value is None:
            unit.tables.delete_setting(SettingKind.QUEUE.value, queue)
        else:
            unit.tables.put_setting(SettingKind.QUEUE.value, queue, value)
        limit(unit, queue, is_limited=value is not None)
