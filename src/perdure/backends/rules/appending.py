"""What arrives for an instance: pending events, each with the instance's next number."""

from __future__ import annotations

import msgspec

from perdure.backends.rows import InstanceRow
from perdure.backends.unit.unit import Unit
from perdure.clock import Micros
from perdure.model.event import Sent
from perdure.model.task import PendingPayload


def append(unit: Unit, row: InstanceRow, event: PendingPayload) -> None:
    """Append to a running instance, which is due at once."""
    unit.add_pending(row, event)
    # A stuck instance waits for its retry or for resume, whatever arrives meanwhile.
    if row.stuck_reason is None and (row.wake_at is None or row.wake_at > unit.now):
        row.wake_at = unit.now
    row.updated_at = unit.now


def arrived(event: Sent, now: Micros) -> Sent:
    """The event with its time of arrival."""
    return msgspec.structs.replace(event, at=now)
